use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use distlock_conformance::Harness;
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, CasBackend, Result};
use distlock_memory::MemoryBackend;
use distlock_miniature::{Direct, SessionBackend};

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
    /// The miniature whose claims stand under sessions, behind the same as the in-process store.
    Sessions,
    /// The miniature whose claims wait on the server, likewise.
    Blocking,
}

impl Base {
    /// The store, with nothing wrong about it.
    pub fn sound(self) -> Store {
        match self {
            Self::Plain => Store::plain(Rules::SOUND),
            Self::Records => Store::records(Swaps::SOUND),
            decorated => Store::flawed(decorated, Flaw::NONE),
        }
    }
}

impl Store {
    /// A store of the project with a flaw: the in-process one, or that of the base.
    pub(crate) fn flawed(base: Base, flaw: Flaw) -> Self {
        let server = Direct::new();
        match base {
            Base::Sessions => Self::behind(flaw, move || SessionBackend::new(server.clone())),
            Base::Blocking => Self::behind(flaw, move || {
                SessionBackend::waiting_on_server(server.clone())
            }),
            _ => {
                let memory = MemoryBackend::new();
                Self::behind(flaw, move || memory.clone())
            }
        }
    }

    fn behind<B: Backend>(flaw: Flaw, client: impl Fn() -> B + Send + Sync + 'static) -> Self {
        Self {
            capabilities: client().capabilities().clone(),
            client: Box::new(move || Box::new(Flawed::new(client(), flaw))),
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
