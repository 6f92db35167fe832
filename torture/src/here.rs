use std::sync::Arc;

use anyhow::{Context, Result};
use distlock::backend::Backend;
use distlock::memory::MemoryBackend;
use distlock_conformance::Harness;
use distlock_mutants::Store;

/// A store in this process: a sound one, or one that is broken on purpose.
#[derive(Clone, Debug)]
pub(crate) enum Here {
    Sound(MemoryBackend),
    Mutant(Arc<Store>),
}

impl Here {
    pub(crate) fn new(mutant: Option<u32>) -> Result<Self> {
        let Some(number) = mutant else {
            return Ok(Self::Sound(MemoryBackend::new()));
        };
        let all = distlock_mutants::all();
        let mutant = all.iter().find(|mutant| mutant.number == number);
        let mutant = mutant.with_context(|| format!("there is no mutant {number}"))?;
        println!("mutant {number} {}", mutant.does);
        Ok(Self::Mutant(Arc::new(mutant.store(mutant.base))))
    }

    /// A client of it.
    pub(crate) async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok(match self {
            Self::Sound(store) => Box::new(store.clone()),
            Self::Mutant(store) => store.backend().await?,
        })
    }
}
