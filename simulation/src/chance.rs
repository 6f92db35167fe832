use std::hash::{DefaultHasher, Hash, Hasher};

use fastrand::Rng;

/// Chance that depends on the seed and on what it is about, and on nothing that was drawn before: a
/// run from which something is left out goes on as it would have gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    seed: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// What is drawn for this subject.
    pub(crate) fn of(self, subject: impl Hash) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, subject).hash(&mut hasher);
        Rng::with_seed(hasher.finish())
    }
}
