//! Blocks its thread, polls after a pause at random of up to 200 ms, and makes a connection for
//! each command.

use anyhow::{Context, Result};
use distlock_load::{Kind, Locker, Lockers, Mode, Seat, Workload, async_trait};
use redlock::RedLock;
use tokio::task::block_in_place;

const TTL_MILLIS: usize = 15_000;
/// Each blocks a thread.
const TASKS: usize = 16;

struct Redlock(String);

pub(crate) fn open(url: String) -> Box<dyn Lockers> {
    Box::new(Redlock(url))
}

#[async_trait]
impl Lockers for Redlock {
    fn can(&self, workload: &Workload) -> bool {
        workload.kind == Kind::Mutex && workload.tasks <= TASKS
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        Ok(Box::new(Holder {
            manager: RedLock::new(vec![self.0.as_str()]),
            name: format!("redlock/{}", seat.name),
            held: None,
        }))
    }
}

struct Holder {
    manager: RedLock,
    name: String,
    /// The value by which it is released: a `Lock` borrows its manager.
    held: Option<Vec<u8>>,
}

#[async_trait]
impl Locker for Holder {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        self.held = Some(block_in_place(|| {
            loop {
                if let Some(lock) = self.manager.lock(self.name.as_bytes(), TTL_MILLIS)? {
                    return anyhow::Ok(lock.val);
                }
            }
        })?);
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        let val = self.held.take().context("nothing is held")?;
        let lock_manager = &self.manager;
        let resource = self.name.clone().into_bytes();
        block_in_place(|| {
            lock_manager.unlock(&redlock::Lock {
                resource,
                val,
                validity_time: 0,
                lock_manager,
            });
        });
        Ok(())
    }
}
