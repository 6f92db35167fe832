//! An in-process store in plain sight: one list of entries a name, and each decision about it a
//! function in [`Rules`] that a mutant replaces.

mod claim;
mod line;
mod rules;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Signals};
use distlock_core::{Capabilities, Deadline, LockState, Moment, Name, Result};

use claim::PlainClaim;
pub(crate) use line::{Entry, Line};
pub(crate) use rules::{Rules, is_alive, is_turn, leave, refresh, renew};

/// A client of the store. Clones are clients of the same one.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    capabilities: Capabilities,
    rules: Rules,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    lines: HashMap<Name, Line>,
    watchers: Vec<(Name, Signals)>,
}

impl Plain {
    /// An empty store that obeys these rules.
    pub(crate) fn new(capabilities: Capabilities, rules: Rules) -> Self {
        Self {
            capabilities,
            rules,
            table: Arc::default(),
        }
    }

    /// Changes a name's line, as of now, and tells those who watch it.
    fn change<T>(&self, name: &Name, verb: impl FnOnce(&mut Line, &Rules, Moment) -> T) -> T {
        let mut table = self.table();
        let line = table.lines.entry(name.clone()).or_default();
        let answer = verb(line, &self.rules, Moment::now());
        table.watchers.retain(|(_, signals)| !signals.is_closed());
        for (_, signals) in table.watchers.iter().filter(|(of, _)| of == name) {
            signals.look();
        }
        answer
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for Plain {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let claim = PlainClaim::new(self.clone(), request);
        if self.rules.claims_join {
            claim.enter(true)?;
        }
        Ok(Box::new(claim))
    }

    async fn inspect(&self, name: &Name, _by: Deadline) -> Result<LockState> {
        let table = self.table();
        let line = table.lines.get(name);
        Ok(line
            .map(|line| line.state(&self.rules, Moment::now()))
            .unwrap_or_default())
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        self.table().watchers.push((name.clone(), signals));
        Some(Box::new(()))
    }
}
