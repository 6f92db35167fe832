//! A store that compares and swaps records, for mistakes that authors of a `CasStore` make.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::queue::{LockQueue, StoreTime};
use distlock_core::{Capabilities, CasStore, Deadline, Moment, Name, Result, Swap, Version};
use tokio::time::sleep;

/// A table of records. It tells nobody of changes, so waiters poll.
#[derive(Debug)]
pub(crate) struct Records {
    capabilities: Capabilities,
    rules: Swaps,
    began: Moment,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// What was stored under each name, the latest last.
    stored: HashMap<Name, Vec<Stored>>,
    swaps: u64,
}

/// A record, its version, and when it was stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) queue: LockQueue,
    pub(crate) version: u64,
    pub(crate) at: Moment,
}

/// The decisions of a [`Records`] store.
#[derive(Clone, Copy)]
pub(crate) struct Swaps {
    /// Whether a record may replace the one present, given the version that is expected.
    pub(crate) replaces: fn(present: Option<u64>, expected: Option<u64>) -> bool,
    /// What is read, of all that was stored under a name.
    pub(crate) read: fn(&[Stored]) -> Option<Stored>,
    /// Whether the record is to be kept.
    pub(crate) keeps: fn(&LockQueue, &StoreTime) -> bool,
    /// How long the store says that it has been there, when it has been there for so long.
    pub(crate) clock: fn(Duration) -> Duration,
}

impl Swaps {
    /// Those of a store that keeps every promise.
    pub(crate) const SOUND: Self = Self {
        replaces: |present, expected| present == expected,
        read: |stored| stored.last().cloned(),
        keeps: |_, _| true,
        clock: |passed| passed,
    };
}

impl Records {
    /// An empty store that obeys these rules.
    pub(crate) fn new(capabilities: Capabilities, rules: Swaps) -> Self {
        Self {
            capabilities,
            rules,
            began: Moment::now(),
            table: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CasStore for Records {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, name: &Name, _by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        let read = self
            .table()
            .stored
            .get(name)
            .and_then(|stored| (self.rules.read)(stored));
        // Others get between a load and what follows from it, as they would over a network.
        sleep(Duration::from_millis(1)).await;
        Ok(read.map(|Stored { queue, version, .. }| (queue, Version::new(version.to_string()))))
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        _by: Deadline,
    ) -> Result<Swap> {
        let now = self.now()?;
        let mut table = self.table();
        let present = table.stored.get(name).and_then(|stored| stored.last());
        let present = present.map(|present| present.version);
        let expected = expected.and_then(|version| version.as_str().parse().ok());
        if !(self.rules.replaces)(present, expected) {
            return Ok(Swap::Stale);
        }
        table.swaps += 1;
        let version = table.swaps;
        if (self.rules.keeps)(queue, &now) {
            let stored = table.stored.entry(name.clone()).or_default();
            stored.push(Stored {
                queue: queue.clone(),
                version,
                at: Moment::now(),
            });
        } else {
            table.stored.remove(name);
        }
        Ok(Swap::Stored(Version::new(version.to_string())))
    }

    fn now(&self) -> Result<StoreTime> {
        let micros = (self.rules.clock)(self.began.elapsed()).as_micros();
        Ok(StoreTime::new(
            "records",
            u64::try_from(micros).unwrap_or(u64::MAX),
        ))
    }

    /// None: that numbers grow rests on the records alone.
    fn floor(&self) -> u64 {
        0
    }
}

impl fmt::Debug for Swaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swaps").finish_non_exhaustive()
    }
}
