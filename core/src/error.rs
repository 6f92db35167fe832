//! What can go wrong, sorted by what the caller can do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::name::Name;

/// What every fallible function of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a lock operation failed.
///
/// One pointer wide and cheap to clone. [`kind`](Self::kind) says what the caller can do; the
/// message says what happened, in one line; [`source`](StdError::source) keeps the store's own
/// error. No error ever comes with a guard: whoever gets one does not hold the lock.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    operation: Option<&'static str>,
    name: Option<Name>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The time limit of the call passed. Try again later, or do without.
    TimedOut,
    /// The lock is not held any more. Stop the work that it protected; acquire again.
    Lost,
    /// The store could not be asked, or did not answer in time. Try again later.
    Unavailable,
    /// The store refused the credentials, or their rights do not suffice. Fix those.
    Unauthorized,
    /// An argument is not acceptable; the message says what is. Fix the call.
    InvalidInput,
    /// The store cannot do what was asked; see [`Capabilities`](crate::Capabilities). Choose
    /// another store or mode.
    Unsupported,
    /// The name is in use in a way that excludes this one: as a semaphore with another limit, or as
    /// a lock. Use another name.
    Conflict,
    /// The store, or the program's set-up, cannot be used safely as it is. The message says what to
    /// change.
    Misconfigured,
    /// Something that should not happen: a damaged record, a bug in a backend. Report it.
    Unexpected,
}

impl Error {
    /// An error of `kind`; `message` is one line in plain words that says what to do where it can.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            name: None,
            source: None,
        }))
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner().source = Some(Arc::from(source.into()));
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The lock that it is about, where it is about one.
    pub fn lock_name(&self) -> Option<&Name> {
        self.0.name.as_ref()
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Says what was being done, to which lock, unless that is known already.
    #[must_use]
    pub(crate) fn during(mut self, operation: &'static str, name: &Name) -> Self {
        let inner = self.inner();
        inner.operation.get_or_insert(operation);
        inner.name.get_or_insert_with(|| name.clone());
        self
    }

    /// Adds to the message.
    #[must_use]
    pub(crate) fn noting(mut self, note: &str) -> Self {
        let inner = self.inner();
        inner.message = format!("{} ({note})", inner.message).into();
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl ErrorKind {
    fn summary(self) -> &'static str {
        match self {
            Self::TimedOut => "timed out",
            Self::Lost => "lock lost",
            Self::Unavailable => "store unavailable",
            Self::Unauthorized => "not authorized",
            Self::InvalidInput => "invalid input",
            Self::Unsupported => "not supported",
            Self::Conflict => "conflicting use",
            Self::Misconfigured => "misconfigured",
            Self::Unexpected => "unexpected failure",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            message,
            operation,
            name,
            ..
        } = &*self.0;
        match (operation, name) {
            (Some(operation), Some(name)) => write!(f, "{operation} `{name}`: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(name)) => write!(f, "`{name}`: ")?,
            (None, None) => {}
        }
        write!(f, "{kind}: {message}")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(operation) = self.0.operation {
            debug.field("operation", &operation);
        }
        if let Some(name) = &self.0.name {
            debug.field("name", name);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_failed_on_which_lock_and_why() {
        let error = Error::new(ErrorKind::Unavailable, "no answer within 2.5s")
            .with_source(std::io::Error::other("connection reset"))
            .during("acquire", &Name::new("orders/42").unwrap());
        assert_eq!(
            error.to_string(),
            "acquire `distlock:orders/42`: store unavailable: no answer within 2.5s"
        );
        assert_eq!(error.source().unwrap().to_string(), "connection reset");
        assert_eq!(error.lock_name().unwrap().as_str(), "orders/42");
    }

    #[test]
    fn the_innermost_operation_stays() {
        let name = Name::new("a").unwrap();
        let error = Error::invalid("limit is 0")
            .during("renew", &name)
            .during("acquire", &name);
        assert_eq!(
            error.to_string(),
            "renew `distlock:a`: invalid input: limit is 0"
        );
    }

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Option<Error>>(), size_of::<usize>());
    }
}
