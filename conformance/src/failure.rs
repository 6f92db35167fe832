use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;

/// How a case ends: well, or with what went wrong and where.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a case failed, and the line of the case that found out.
///
/// Any error becomes a failure by `?`, which notes the line.
pub(crate) struct Failure {
    message: String,
    at: &'static Location<'static>,
}

/// Something that a case waited for, or took for granted, did not come about.
#[derive(Debug)]
pub(crate) struct Unmet(pub(crate) String);

impl<E: StdError> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self {
            message,
            at: Location::caller(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Unmet {}
