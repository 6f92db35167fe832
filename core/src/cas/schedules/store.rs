use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::capability::Capabilities;
use crate::cas::{CasStore, Swap, Version};
use crate::clock::Deadline;
use crate::error::Result;
use crate::name::Name;
use crate::queue::{LockQueue, StoreTime};
use crate::sync::{Mutex, pause, watch};

/// A store with one record. Others may act between a request, what it does and its answer.
#[derive(Debug)]
pub(super) struct Store {
    capabilities: Capabilities,
    record: Arc<Mutex<Record>>,
    /// How many swaps are on their way.
    under_way: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct Record {
    stored: Option<LockQueue>,
    version: u64,
    next_swap_takes: Duration,
}

impl Default for Store {
    fn default() -> Self {
        let ttl = Duration::from_secs(1)..=Duration::from_secs(60);
        Self {
            capabilities: Capabilities::new("explored", ttl),
            record: Arc::default(),
            under_way: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Store {
    pub(super) fn next_swap_takes(&self, time: Duration) {
        self.record.lock().unwrap().next_swap_takes = time;
    }

    /// Resolves once so many swaps are on their way.
    pub(super) async fn has_under_way(&self, swaps: usize) {
        let mut under_way = self.under_way.subscribe();
        under_way.wait_for(|now| *now == swaps).await.unwrap();
    }

    /// How many hold and wait.
    pub(super) fn contenders(&self) -> (usize, usize) {
        let record = self.record.lock().unwrap();
        let state = record.stored.as_ref().map(|queue| queue.state(&now()));
        state.map_or((0, 0), |state| (state.holders.len(), state.waiters.len()))
    }
}

#[async_trait]
impl CasStore for Store {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, _name: &Name, _by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        pause().await;
        let record = self.record.lock().unwrap();
        let stored = record.stored.clone();
        Ok(stored.map(|queue| (queue, record.version())))
    }

    async fn store(
        &self,
        _name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap> {
        let time = std::mem::take(&mut self.record.lock().unwrap().next_swap_takes);
        let (record, under_way) = (Arc::clone(&self.record), Arc::clone(&self.under_way));
        let (queue, expected) = (queue.clone(), expected.cloned());
        under_way.send_modify(|swaps| *swaps += 1);
        // On its way, whoever waits for it.
        let swap = shuttle::future::spawn(async move {
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            let swap = record.lock().unwrap().swap(queue, expected);
            under_way.send_modify(|swaps| *swaps -= 1);
            swap
        });
        by.bound(async { Ok(swap.await.unwrap()) }).await
    }

    fn now(&self) -> Result<StoreTime> {
        Ok(now())
    }

    fn floor(&self) -> u64 {
        0
    }
}

impl Record {
    fn version(&self) -> Version {
        Version::new(self.version.to_string())
    }

    fn swap(&mut self, queue: LockQueue, expected: Option<Version>) -> Swap {
        let present = self.stored.is_some().then(|| self.version());
        if present != expected {
            return Swap::Stale;
        }
        self.stored = Some(queue);
        self.version += 1;
        Swap::Stored(self.version())
    }
}

/// Nothing expires.
fn now() -> StoreTime {
    StoreTime::new("explored", 1)
}
