//! Who waits for changes of which name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distlock_core::Name;
use distlock_core::backend::Signals;

/// The waiters of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    of: HashMap<Name, Listened>,
    next: u64,
}

#[derive(Debug, Default)]
struct Listened {
    /// The version that they were last told of. `None`: they have just come, and look for
    /// themselves.
    told: Option<u64>,
    signals: Vec<(u64, Signals)>,
}

/// Listens until dropped.
pub(crate) struct Listening {
    listeners: Listeners,
    name: Name,
    number: u64,
}

impl Listeners {
    pub(crate) fn add(&self, name: &Name, signals: Signals) -> Listening {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table
            .of
            .entry(name.clone())
            .or_default()
            .signals
            .push((number, signals));
        Listening {
            listeners: self.clone(),
            name: name.clone(),
            number,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table().of.is_empty()
    }

    /// The names that somebody listens to.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.table().of.keys().cloned().collect()
    }

    /// Tells those who listen to this name that its record has this version, if they have not been
    /// told.
    pub(crate) fn tell(&self, name: &Name, version: u64) {
        if let Some(listened) = self.table().of.get_mut(name)
            && listened.told.replace(version) != Some(version)
        {
            listened
                .signals
                .iter()
                .for_each(|(_, signals)| signals.look());
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut table = self.listeners.table();
        if let Some(listened) = table.of.get_mut(&self.name) {
            listened
                .signals
                .retain(|(number, _)| *number != self.number);
            if listened.signals.is_empty() {
                table.of.remove(&self.name);
            }
        }
    }
}
