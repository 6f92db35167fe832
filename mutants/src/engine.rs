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
    /// The cases of the suite that fail, on the in-process store.
    pub killers: Vec<Killer>,
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
            killers: Vec::new(),
        }
    }

    fn killed_by(mut self, case: &'static str, says: &'static str) -> Self {
        self.killers.push(Killer { case, says });
        self
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
