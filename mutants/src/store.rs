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

impl Store {
    /// Those with nothing wrong, but for the project's own, which has tests of its own.
    pub fn sound() -> [Self; 2] {
        [Self::plain(Rules::SOUND), Self::records(Swaps::SOUND)]
    }

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
        let capabilities = capabilities("plain", true);
        let plain = Plain::new(capabilities.clone(), rules);
        Self {
            capabilities,
            client: Box::new(move || Box::new(plain.clone())),
        }
    }

    /// A sound store whose author has something to say about it.
    pub(crate) fn declaring(declare: fn(&mut Capabilities)) -> Self {
        let mut capabilities = capabilities("plain", true);
        declare(&mut capabilities);
        let plain = Plain::new(capabilities.clone(), Rules::SOUND);
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
