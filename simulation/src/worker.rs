mod acquire;
mod held;

use std::sync::Arc;
use std::time::Duration;

use distlock_core::{ErrorKind, LockState, Locks, Mode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::event::What;
use crate::plan::step::{Act, Holding, Step, Way};
use crate::world::World;
use held::Held;

/// One of those who do things with locks in a client, one after the other.
#[derive(Debug)]
pub(crate) struct Worker {
    world: Arc<World>,
    client: usize,
    locks: Locks,
}

impl Worker {
    pub(crate) fn new(world: &Arc<World>, client: usize, locks: &Locks) -> Self {
        Self {
            world: Arc::clone(world),
            client,
            locks: locks.clone(),
        }
    }

    /// Takes its steps, or as many as there is time for before the world is healed.
    pub(crate) async fn work(self, steps: Vec<Step>) {
        for step in steps {
            sleep(step.pause).await;
            if self.world.is_healed() {
                return;
            }
            self.take(&step).await;
            self.world.record(What::Done { op: step.op });
        }
    }

    async fn take(&self, step: &Step) {
        let Self { client, .. } = *self;
        let Step { op, name, .. } = *step;
        match &step.act {
            Act::Hold(holding) => self.hold(op, name, holding).await,
            Act::Run { length, abandoned } => self.run(op, name, *length, *abandoned).await,
            Act::Inspect => {
                self.world.record(What::Looked { op, client, name });
                self.note_seen(op, self.locks.inspect(name.to_string()).await);
            }
            Act::Watch(length) => self.watch(op, name, *length).await,
            Act::Settle => {
                self.world.record(What::Settling { op, client });
                self.locks.settle().await;
            }
        }
    }

    async fn hold(&self, op: usize, name: usize, holding: &Holding) {
        self.note_asked(op, name, holding.mode, holding.way, holding.max_hold);
        let Some(guard) = self.acquire(op, name, holding).await else {
            return;
        };
        let guard = self.world.receive(op, self.client, name, guard);
        let held = Held {
            world: &self.world,
            op,
            guard,
        };
        held.use_and_give_up(holding).await;
    }

    async fn run(&self, op: usize, name: usize, length: Duration, abandoned: Option<Duration>) {
        let way = abandoned.map_or(Way::Wait, Way::AbandonedAfter);
        self.note_asked(op, name, Mode::Exclusive, way, None);
        let lock = self.locks.lock(name.to_string());
        let run = lock.run(async |token| {
            self.world.note_received(op, name, token.number(), None);
            sleep(length).await;
        });
        let Some(result) = acquire::unless_abandoned(way, run).await else {
            return self.world.record(What::Abandoned { op });
        };
        match result.map_err(|error| error.kind()) {
            Ok(()) => {}
            // Lost while the work was under way, which was dropped.
            Err(kind @ ErrorKind::Lost) => self.world.record(What::UseFailed { op, kind }),
            Err(kind) => self.world.record(What::Failed { op, kind }),
        }
    }

    async fn watch(&self, op: usize, name: usize, length: Duration) {
        let Self { client, .. } = *self;
        self.world.record(What::Looked { op, client, name });
        let until = Instant::now() + length;
        let mut watch = self.locks.watch(name.to_string());
        while let Ok(state) = timeout_at(until, watch.next()).await {
            self.note_seen(op, state);
        }
    }

    fn note_asked(&self, op: usize, name: usize, mode: Mode, way: Way, max_hold: Option<Duration>) {
        self.world.record(What::Asked {
            op,
            client: self.client,
            name,
            mode,
            way,
            max_hold,
        });
    }

    fn note_seen(&self, op: usize, state: distlock_core::Result<LockState>) {
        self.world.record(match state {
            Ok(LockState { holders, .. }) => {
                let tokens = holders.iter().filter_map(|holder| holder.token);
                let holders = tokens.map(|token| token.number()).collect();
                What::Seen { op, holders }
            }
            Err(error) => What::Failed {
                op,
                kind: error.kind(),
            },
        });
    }
}
