use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::Signals;
use distlock_core::queue::{LockQueue, StoreTime, wall_clock_floor};
use distlock_core::{
    Capabilities, CasStore, Deadline, Fair, Fencing, Moment, Name, Result, Swap, Version,
};

/// For how long a record is kept after anybody could have stood in it, in microseconds. No request
/// takes that long here.
const KEEP_IDLE: u64 = 60_000_000;

/// Records in a map.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    capabilities: Capabilities,
    began: Moment,
    epoch: Arc<str>,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    records: HashMap<Name, (LockQueue, u64)>,
    /// Counts the swaps, so that no version comes back.
    swaps: u64,
    /// The greatest number ever given, for names whose record is gone.
    highest: u64,
    /// So many records are kept before those that can go are looked for.
    sweep_at: usize,
    listeners: HashMap<Name, Vec<(u64, Signals)>>,
    next_listener: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut capabilities = Capabilities::new("memory", Duration::from_millis(10)..=366 * DAY);
        capabilities.shared = true;
        capabilities.permits = true;
        capabilities.fair = Fair::Yes;
        capabilities.push = true;
        capabilities.ttl_step = Duration::from_micros(1);
        capabilities.fencing = Fencing::Strict;
        capabilities.may_forget = false;
        Self {
            capabilities,
            began: Moment::now(),
            epoch: "memory".into(),
            table: Arc::default(),
        }
    }
}

impl MemoryStore {
    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl CasStore for MemoryStore {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, name: &Name, _by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        let table = self.table();
        Ok(table
            .records
            .get(name)
            .map(|(queue, version)| (queue.clone(), Version::new(version.to_string()))))
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        _by: Deadline,
    ) -> Result<Swap> {
        let mut table = self.table();
        let present = table
            .records
            .get(name)
            .map(|(_, version)| version.to_string());
        if present.as_deref() != expected.map(Version::as_str) {
            return Ok(Swap::Stale);
        }
        table.swaps += 1;
        let version = table.swaps;
        table.highest = table.highest.max(queue.last());
        table.records.insert(name.clone(), (queue.clone(), version));
        if table.records.len() > table.sweep_at {
            let now = self.now()?;
            table
                .records
                .retain(|_, (queue, _)| !queue.is_idle_for(KEEP_IDLE, &now));
            table.sweep_at = 1024.max(2 * table.records.len());
        }
        for (_, signals) in table.listeners.get(name).into_iter().flatten() {
            signals.look();
        }
        Ok(Swap::Stored(Version::new(version.to_string())))
    }

    fn now(&self) -> Result<StoreTime> {
        let micros = Moment::now().since(self.began).as_micros();
        Ok(StoreTime::new(
            Arc::clone(&self.epoch),
            u64::try_from(micros).unwrap_or(u64::MAX),
        ))
    }

    fn floor(&self) -> u64 {
        wall_clock_floor().max(self.table().highest + 1)
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        let mut table = self.table();
        let number = table.next_listener;
        table.next_listener += 1;
        table
            .listeners
            .entry(name.clone())
            .or_default()
            .push((number, signals));
        Some(Box::new(Listening {
            table: Arc::clone(&self.table),
            name: name.clone(),
            number,
        }))
    }
}

/// Changes are told until this drops.
struct Listening {
    table: Arc<Mutex<Table>>,
    name: Name,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        if let Some(listeners) = table.listeners.get_mut(&self.name) {
            listeners.retain(|(number, _)| *number != self.number);
            if listeners.is_empty() {
                table.listeners.remove(&self.name);
            }
        }
    }
}
