use std::pin::pin;

use distlock_core::{Acquire, Error, ErrorKind, Guard, Mode};
use tokio::time::sleep;

use super::Worker;
use crate::event::What;
use crate::plan::step::{Holding, Way};

impl Worker {
    pub(super) async fn acquire(&self, op: usize, name: usize, holding: &Holding) -> Option<Guard> {
        let acquisition = self.acquisition(name, holding);
        let what = match unless_abandoned(holding.way, acquisition).await {
            Some(Ok(Some(guard))) => return Some(guard),
            Some(Ok(None)) => What::Busy { op },
            Some(Err(error)) => What::Failed {
                op,
                kind: error.kind(),
            },
            None => What::Abandoned { op },
        };
        self.world.record(what);
        None
    }

    async fn acquisition(&self, name: usize, holding: &Holding) -> Result<Option<Guard>, Error> {
        macro_rules! ask {
            ($lock:expr, $wait:ident, $within:ident, $attempt:ident) => {{
                let lock = $lock;
                let lock = match holding.max_hold {
                    Some(limit) => lock.max_hold(limit),
                    None => lock,
                };
                let waiting: Acquire = match holding.way {
                    Way::Try => return lock.$attempt().await,
                    Way::Within(limit) => lock.$within(limit),
                    _ => lock.$wait(),
                };
                waiting.await.map(Some)
            }};
        }
        let name = name.to_string();
        match holding.mode {
            Mode::Exclusive => ask!(self.locks.lock(name), acquire, acquire_within, try_acquire),
            Mode::Shared => ask!(self.locks.rw_lock(name), read, read_within, try_read),
            Mode::Permit { limit: permits } => ask!(
                self.locks.semaphore(name, permits),
                acquire,
                acquire_within,
                try_acquire
            ),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "a mode that the simulation does not know",
            )),
        }
    }
}

/// What it comes to, if it is not dropped before.
pub(super) async fn unless_abandoned<F: Future>(way: Way, future: F) -> Option<F::Output> {
    match way {
        Way::AbandonedAfter(after) => {
            // Not a time-out, which would look at the future once more at its end.
            tokio::select! {
                biased;
                () = sleep(after) => None,
                output = future => Some(output),
            }
        }
        Way::AbandonedAtPoll(polls) => {
            let mut future = pin!(future);
            for _ in 0..polls {
                tokio::select! {
                    biased;
                    output = &mut future => return Some(output),
                    () = tokio::task::yield_now() => {}
                }
            }
            None
        }
        Way::Try | Way::Wait | Way::Within(_) => Some(future.await),
    }
}
