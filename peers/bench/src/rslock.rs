//! Polls for as long as it takes, after a pause at random of up to 200 ms, or of up to 10 ms.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_load::{Clients, Kind, Locker, Lockers, Mode, Seat, Workload, async_trait};
use rslock::{LockGuard, LockManager};

const TTL: Duration = Duration::from_secs(15);

struct Rslock {
    url: String,
    retries: Option<Duration>,
    managers: Clients<LockManager>,
}

pub(crate) fn usual(url: String) -> Box<dyn Lockers> {
    open(url, None)
}

pub(crate) fn eager(url: String) -> Box<dyn Lockers> {
    open(url, Some(Duration::from_millis(10)))
}

fn open(url: String, retries: Option<Duration>) -> Box<dyn Lockers> {
    let managers = Clients::default();
    Box::new(Rslock {
        url,
        retries,
        managers,
    })
}

#[async_trait]
impl Lockers for Rslock {
    fn can(&self, workload: &Workload) -> bool {
        // Pauses differ only where somebody waits.
        workload.kind == Kind::Mutex && (self.retries.is_none() || workload.counts_changes())
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let make = || async {
            let mut manager = LockManager::new(vec![self.url.clone()]);
            if let Some(pause) = self.retries {
                manager.set_retry(3, pause);
            }
            anyhow::Ok(manager)
        };
        Ok(Box::new(Holder {
            manager: self.managers.get(seat.client, make).await?,
            name: format!("rslock/{}", seat.name),
            held: None,
        }))
    }
}

struct Holder {
    manager: LockManager,
    name: String,
    held: Option<LockGuard>,
}

#[async_trait]
impl Locker for Holder {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        self.held = Some(self.manager.acquire(self.name.as_str(), TTL).await?);
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        self.held.take().context("nothing is held")?.release().await;
        Ok(())
    }
}
