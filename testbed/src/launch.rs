use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

impl Launch {
    /// That program, without arguments. Found as a shell finds it.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// With more arguments, separated by spaces.
    #[must_use]
    pub fn arguments(self, arguments: &str) -> Self {
        arguments.split_whitespace().fold(self, Self::argument)
    }
}

impl fmt::Display for Launch {
    /// Only the name: arguments may be long, and hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.program.display())
    }
}
