use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::{Acquire, Error, ErrorKind, Guard, Locks, Loss, Lost, Mode};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::event::What;
use crate::world::World;

/// One of those who acquire and release in a client, one thing after the other.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    world: Arc<World>,
    client: usize,
    locks: Locks,
}

/// How an acquisition goes about it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Try,
    Wait,
    Within(Duration),
    /// Dropped after so long.
    Abandon(Duration),
}

/// A loss may be told this much later than the validity ends: what timers are off by.
const TIMER: Duration = Duration::from_millis(2);

impl Worker {
    pub(crate) fn new(world: &Arc<World>, client: usize, locks: &Locks) -> Self {
        Self {
            world: Arc::clone(world),
            client,
            locks: locks.clone(),
        }
    }

    /// Does its operations, or as many as there is time for before the world is healed.
    pub(crate) async fn work(self) {
        for _ in 0..self.world.plan.operations {
            let ttl = self.world.plan.ttls[self.client];
            sleep(self.some_of(ttl / 3)).await;
            if self.world.is_healed() {
                return;
            }
            self.operate(ttl).await;
        }
    }

    async fn operate(&self, ttl: Duration) {
        let (name, mode, way) = self.world.draw(|rng| {
            let name = rng.usize(0..self.world.plan.names.len());
            let modes = &self.world.plan.names[name];
            let mode = modes[rng.usize(0..modes.len())];
            let way = match rng.u32(0..8) {
                0 | 1 => Way::Try,
                2..=4 => Way::Wait,
                5 => Way::Within(ttl.mul_f64(2.0 * rng.f64())),
                6 => Way::Abandon(ttl.mul_f64(rng.f64())),
                _ => Way::Abandon(Duration::from_millis(rng.u64(0..12))),
            };
            (name, mode, way)
        });
        let limit = self
            .world
            .draw(|rng| (rng.u32(0..8) == 0).then(|| ttl.mul_f64(0.1 + 1.5 * rng.f64())));
        let op = self.world.ask(self.client, name, mode, way != Way::Try);
        let Some(guard) = self.acquire(op, name, mode, way, limit).await else {
            return;
        };
        let lost = guard.lost();
        let (told, loss) = oneshot::channel();
        self.world.receive(op, self.client, name, guard);
        tokio::spawn(monitor(Arc::clone(&self.world), op, lost, told));
        self.keep(op, loss).await;
    }

    async fn acquire(
        &self,
        op: usize,
        name: usize,
        mode: Mode,
        way: Way,
        limit: Option<Duration>,
    ) -> Option<Guard> {
        let acquire = self.acquisition(name, mode, way, limit);
        let abandoned = async {
            match way {
                Way::Abandon(after) => sleep(after).await,
                _ => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            biased;
            result = acquire => result,
            () = abandoned => {
                self.world.record(What::Abandoned { op });
                return None;
            }
        };
        match result {
            Ok(Some(guard)) => return Some(guard),
            Ok(None) => self.world.record(What::Busy { op }),
            Err(error) => self.world.record(What::Failed {
                op,
                kind: error.kind(),
            }),
        }
        None
    }

    async fn acquisition(
        &self,
        name: usize,
        mode: Mode,
        way: Way,
        limit: Option<Duration>,
    ) -> Result<Option<Guard>, Error> {
        macro_rules! ask {
            ($lock:expr, $wait:ident, $within:ident, $attempt:ident) => {{
                let lock = $lock;
                let lock = match limit {
                    Some(limit) => lock.max_hold(limit),
                    None => lock,
                };
                let waiting: Acquire = match way {
                    Way::Try => return lock.$attempt().await,
                    Way::Within(limit) => lock.$within(limit),
                    Way::Wait | Way::Abandon(_) => lock.$wait(),
                };
                waiting.await.map(Some)
            }};
        }
        let name = name.to_string();
        match mode {
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

    /// Keeps the guard for a while, and gives it up in one of the ways there are.
    async fn keep(&self, op: usize, loss: oneshot::Receiver<Loss>) {
        let hold = self.some_of(self.world.plan.longest_hold());
        let (heeds_loss, way) = self.world.draw(|rng| (rng.bool(), rng.u32(0..3)));
        tokio::select! {
            biased;
            _ = loss, if heeds_loss => {}
            () = sleep(hold) => {}
        }
        // A client that has crashed has none any more.
        let Some(guard) = self.world.give_up(op) else {
            return;
        };
        match way {
            0 => drop(guard),
            1 => drop(guard.release()),
            _ => {
                // What it comes to is the store's and the network's affair.
                let _ = guard.release().await;
            }
        }
    }

    /// A random part of it, most often a small one.
    fn some_of(&self, most: Duration) -> Duration {
        self.world.draw(|rng| most.mul_f64(rng.f64().powi(2)))
    }
}

/// Watches whether the loss of a guard is told in time, and passes it on to its user. Only one
/// listens to the guard: in which order several would be woken, tokio draws by no seed of ours.
async fn monitor(world: Arc<World>, op: usize, lost: Lost, told: oneshot::Sender<Loss>) {
    let mut lost = pin!(lost);
    loop {
        let Some(left) = world.look_at(op, Guard::valid_for) else {
            return;
        };
        tokio::select! {
            biased;
            loss = &mut lost => {
                if loss != Loss::Released {
                    world.record(What::LossTold { op, loss });
                    // Its user may not care.
                    let _ = told.send(loss);
                }
                return;
            }
            () = sleep(left + TIMER) => {
                if world.look_at(op, Guard::is_held) == Some(false) {
                    return world.record(What::LossUntold { op });
                }
            }
        }
    }
}
