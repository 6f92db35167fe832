//! The mutants of the engine: passages of its source, and what a mistaken hand would have written
//! there.

mod acquisitions;
mod holds;
mod input;

use crate::mutant::Killer;

/// A passage of the source that is replaced, and the cases that must fail then.
#[derive(Debug)]
pub struct Passage {
    /// Stays the same; numbers are not used again.
    pub number: u32,
    /// What the engine does wrong then.
    pub does: &'static str,
    /// The file, from the root of the repository.
    pub file: &'static str,
    /// What stands there, once in the file.
    pub text: &'static str,
    /// What is put in its place.
    pub instead: &'static str,
    /// The store on which the cases are tried.
    pub over: Over,
    /// The cases of the suite that fail.
    pub killers: Vec<Killer>,
}

/// A store on which the suite can be run with a broken engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Over {
    /// The one in this process.
    Memory,
    /// The miniature whose claims wait on the server.
    Blocking,
}

impl Passage {
    fn new(
        number: u32,
        does: &'static str,
        file: &'static str,
        text: &'static str,
        instead: &'static str,
    ) -> Self {
        Self {
            number,
            does,
            file,
            text,
            instead,
            over: Over::Memory,
            killers: Vec::new(),
        }
    }

    fn over(self, over: Over) -> Self {
        Self { over, ..self }
    }

    fn killed_by(mut self, case: &'static str, says: &'static str) -> Self {
        self.killers.push(Killer { case, says });
        self
    }
}

impl Over {
    /// The package whose test `conformance` runs the suite on it.
    pub fn package(self) -> &'static str {
        match self {
            Self::Memory => "distlock-memory",
            Self::Blocking => "distlock-miniature",
        }
    }

    /// What its cases are named after.
    pub fn store(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Blocking => "blocking",
        }
    }
}

/// All of them, by number.
pub fn passages() -> Vec<Passage> {
    let mut all = holds::passages();
    all.extend(acquisitions::passages());
    all.extend(input::passages());
    all.sort_by_key(|passage| passage.number);
    all
}
