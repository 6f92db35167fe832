//! What one client does: several tasks over one `Locks`, each event recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use distlock::{ErrorKind, Guard, Locks, Loss, Mode};
use distlock_conformance::history::{Recorder, What, now};
use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::register::Registers;
use crate::work::{Asking, End, Way, Work};

/// How many tasks each client has.
const TASKS: u64 = 5;
/// How often a guard is looked at, at least.
const LOOK: Duration = Duration::from_millis(50);
/// And how often when its end is near.
const LOOK_CLOSELY: Duration = Duration::from_millis(5);

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: u32,
    pub(crate) locks: Locks,
    pub(crate) ttl: Duration,
    pub(crate) recorder: Arc<Recorder>,
    registers: Registers,
    operations: AtomicU64,
    stop: watch::Receiver<bool>,
}

impl Client {
    pub(crate) async fn new(
        number: u32,
        locks: Locks,
        asked_ttl: Duration,
        recorder: Arc<Recorder>,
        registers: SocketAddr,
        stop: watch::Receiver<bool>,
    ) -> Result<Self> {
        Ok(Self {
            number,
            ttl: locks.capabilities().ttl_in_force(asked_ttl),
            locks,
            recorder,
            registers: Registers::at(registers).await?,
            operations: AtomicU64::new(0),
            stop,
        })
    }

    /// Works until it is told to stop; then ends what it has begun, and lets go of everything.
    pub(crate) async fn work(self, seed: u64) {
        self.record(What::Started {
            client: self.number,
        });
        let this = Arc::new(self);
        let mut chance = Rng::with_seed(seed);
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(task(Arc::clone(&this), chance.fork()));
        }
        while let Some(task) = tasks.join_next().await {
            task.expect("no task panics");
        }
        this.locks.settle().await;
        this.record(What::Ended {
            client: this.number,
        });
    }

    async fn told_to_stop(&self) {
        // Whoever could tell has gone: that is the end as well.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    fn record(&self, what: What) {
        self.record_at(now(), what);
    }

    fn record_at(&self, at: Duration, what: What) {
        let recorded = self.recorder.record_at(at, what);
        recorded.expect("the history can be written");
    }

    /// Acquires once, and uses what it gets.
    async fn operate(&self, work: &Work) {
        let number = self.operations.fetch_add(1, Ordering::Relaxed);
        // To be read by people.
        let op = u64::from(self.number) * 1_000_000 + number;
        self.record(What::Invoked {
            op,
            client: self.number,
            name: work.name.to_owned(),
            mode: work.mode,
            wish: work.wish(),
            ttl: self.ttl,
        });
        let asking = async {
            match work.ask(&self.locks) {
                Asking::Waits(acquire) => acquire.await.map(Some),
                Asking::Tries(acquire) => acquire.await,
            }
        };
        let given_up = async {
            match work.way {
                Way::Cancelled(after) => sleep(after).await,
                // Some clients are served to the end, and some leave the line all at once: what
                // stays behind then is seen before it can expire.
                _ if self.number.is_multiple_of(2) => self.told_to_stop().await,
                _ => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            answer = asking => Some(answer),
            () = given_up => None,
        };
        match answer {
            Some(Ok(Some(guard))) => self.hold(op, guard, work).await,
            Some(Ok(None)) => self.record(What::Refused { op }),
            Some(Err(error)) if error.kind() == ErrorKind::TimedOut => {
                self.record(What::TimedOut { op });
            }
            Some(Err(error)) => {
                let error = error.to_string();
                self.record(What::Failed { op, error });
                // Whoever is told that the store is out of reach does not ask again at once.
                sleep(Duration::from_millis(100)).await;
            }
            None => self.record(What::Abandoned { op }),
        }
    }

    async fn hold(&self, op: u64, guard: Guard, work: &Work) {
        let (at, token) = (now(), guard.token().get());
        let valid_for = guard.valid_for();
        self.record_at(
            at,
            What::Granted {
                op,
                token,
                valid_for,
            },
        );
        let held = match work.end {
            End::Forgotten => Duration::MAX,
            _ => work.held,
        };
        // In a task of its own, which nothing wakes but the loss.
        let mut told = JoinSet::new();
        told.spawn(guard.lost());
        let lost = tokio::select! {
            biased;
            loss = told.join_next() => loss.map(|loss| loss.expect("to be told takes no panic")),
            never = self.watch(op, &guard) => never,
            () = self.use_for(op, &guard, work.mode, held) => None,
        };
        if let Some(loss) = lost {
            self.record(match loss {
                Loss::MaxHold => What::HeldLongEnough { op },
                loss => What::Lost {
                    op,
                    revoked: loss == Loss::Revoked,
                },
            });
            // A user who has not heard yet; the resource has to refuse it if somebody else holds.
            if work.mode == Mode::Exclusive {
                self.write(op, &guard).await;
            }
            return drop(guard);
        }
        match work.end {
            End::Dropped | End::Forgotten => {
                self.record(What::Dropped { op });
                drop(guard);
            }
            End::Extended => {
                // Lost or not, what comes of it is seen by the release.
                let _ = guard.ensure(self.ttl.mul_f64(0.9)).await;
                self.release(op, guard).await;
            }
            End::Released => self.release(op, guard).await,
        }
    }

    async fn release(&self, op: u64, guard: Guard) {
        self.record(What::Releasing { op });
        match guard.release().await {
            Ok(()) => self.record(What::Released { op }),
            Err(error) if error.kind() == ErrorKind::Lost => self.record(What::NotHeld { op }),
            Err(error) => {
                let error = error.to_string();
                self.record(What::ReleaseFailed { op, error });
            }
        }
    }

    /// Writes when it begins and when it ends, unless there may be others beside it.
    async fn use_for(&self, op: u64, guard: &Guard, mode: Mode, held: Duration) {
        if mode != Mode::Exclusive {
            return sleep(held).await;
        }
        self.write(op, guard).await;
        sleep(held).await;
        self.write(op, guard).await;
    }

    async fn write(&self, op: u64, guard: &Guard) {
        let written = self
            .registers
            .write(op, guard.name().as_str(), guard.token().get());
        written.await.expect("the registers answer");
    }

    /// Records how long the guard says it is valid, whenever it has been renewed, and that it says
    /// it is not.
    async fn watch<T>(&self, op: u64, guard: &Guard) -> T {
        const RENEWED: Duration = Duration::from_millis(20);
        let mut until = Duration::ZERO;
        loop {
            let at = now();
            let valid_for = guard.valid_for();
            if valid_for.is_zero() {
                self.record_at(at, What::Over { op });
                return std::future::pending().await;
            }
            if at + valid_for > until + RENEWED {
                self.record_at(at, What::Valid { op, valid_for });
                until = at + valid_for;
            }
            sleep((valid_for / 2).clamp(LOOK_CLOSELY, LOOK)).await;
        }
    }
}

/// Now and then nobody gives up: whoever may just have been granted a lock that he has given up is
/// an excuse for those who are not, and would hide that something stays behind.
fn is_steady() -> bool {
    now().as_secs() % 20 >= 11
}

async fn task(client: Arc<Client>, mut chance: Rng) {
    while !*client.stop.borrow() {
        let mut work = Work::draw(&mut chance, client.locks.capabilities(), client.ttl);
        if is_steady() {
            work.never_gives_up();
        }
        client.operate(&work).await;
        tokio::select! {
            () = sleep(work.rest) => {}
            () = client.told_to_stop() => {}
        }
    }
}
