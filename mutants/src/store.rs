use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use distlock_conformance::Harness;
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, CasBackend, Result};
use distlock_memory::MemoryBackend;

use crate::flawed::{Flaw, Flawed};
use crate::plain::{Plain, Rules};
use crate::records::{Records, Swaps};

/// A store under test: what it claims to be able to do, and how to get a client of it.
pub struct Store {
    capabilities: Capabilities,
    client: Box<dyn Fn() -> Box<dyn Backend> + Send + Sync>,
}

/// What mutants are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Base {
    /// The project's own in-process store, behind something that does other than it is asked.
    Memory,
    /// A store in plain sight, for what goes wrong inside.
    Plain,
    /// A store of records, for what authors of a `CasStore` get wrong.
    Records,
}

impl Base {
    /// The store, with nothing wrong about it.
    pub fn sound(self) -> Store {
        match self {
            Self::Memory => Store::flawed(Flaw::NONE),
            Self::Plain => Store::plain(Rules::SOUND),
            Self::Records => Store::records(Swaps::SOUND),
        }
    }
}

impl Store {
    /// The in-process store of the project, with a flaw.
    pub(crate) fn flawed(flaw: Flaw) -> Self {
        let memory = MemoryBackend::new();
        Self {
            capabilities: memory.capabilities().clone(),
            client: Box::new(move || Box::new(Flawed::new(memory.clone(), flaw))),
        }
    }

    /// A store in plain sight that obeys these rules.
    pub(crate) fn plain(rules: Rules) -> Self {
        Self::plainly(capabilities("plain", true), rules)
    }

    /// A sound one whose author has something to say about it.
    pub(crate) fn declaring(declare: fn(&mut Capabilities)) -> Self {
        let mut capabilities = capabilities("plain", true);
        declare(&mut capabilities);
        Self::plainly(capabilities, Rules::SOUND)
    }

    fn plainly(capabilities: Capabilities, rules: Rules) -> Self {
        let plain = Plain::new(capabilities.clone(), rules);
        Self {
            capabilities,
            client: Box::new(move || Box::new(plain.clone())),
        }
    }

    /// A store of records that obeys these rules.
    pub(crate) fn records(rules: Swaps) -> Self {
        let capabilities = capabilities("records", false);
        let records = Arc::new(Records::new(capabilities.clone(), rules));
        Self {
            capabilities,
            client: Box::new(move || Box::new(CasBackend::new(Arc::clone(&records)))),
        }
    }
}

/// All that the in-process store can do, under another name.
fn capabilities(store: &'static str, push: bool) -> Capabilities {
    let mut capabilities = MemoryBackend::new().capabilities().clone();
    capabilities.store = store;
    capabilities.push = push;
    capabilities
}

#[async_trait]
impl Harness for Store {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok((self.client)())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
