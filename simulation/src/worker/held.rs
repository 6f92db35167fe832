use std::sync::Arc;
use std::time::Duration;

use distlock_core::{ErrorKind, Guard, Loss};
use tokio::time::{sleep, timeout};

use crate::event::What;
use crate::plan::step::{End, Holding, Use};
use crate::world::World;

/// A guard, and what its user does with it. One thing at a time listens for its loss: in which
/// order several would be woken, tokio draws by no seed of ours.
pub(super) struct Held<'a> {
    pub(super) world: &'a World,
    pub(super) op: usize,
    pub(super) guard: Arc<Guard>,
}

/// A loss may be told this much later than the validity ends: what timers are off by.
const TIMER: Duration = Duration::from_millis(2);

impl Held<'_> {
    pub(super) async fn use_and_give_up(self, holding: &Holding) {
        let mut is_lost = false;
        for usage in &holding.uses {
            is_lost = is_lost || self.use_so(*usage).await;
            if is_lost && holding.heeds_loss {
                break;
            }
            if let (true, Use::Keep(length) | Use::Work(length)) = (is_lost, usage) {
                sleep(*length).await;
            }
        }
        self.give_up(holding.end).await;
    }

    /// Whether it was lost meanwhile.
    async fn use_so(&self, usage: Use) -> bool {
        let Self { op, guard, .. } = self;
        let outcome = match usage {
            Use::Keep(length) => {
                let lost = self.told_in_time(guard.lost());
                return match timeout(length, lost).await {
                    Ok(Some(loss)) => self.note_loss(loss),
                    Ok(None) => true,
                    Err(_) => false,
                };
            }
            Use::Work(length) => {
                let work = guard.while_held(sleep(length));
                self.told_in_time(work).await
            }
            Use::Ensure(at_least, patience) => {
                let ensure = self.told_in_time(guard.ensure(at_least));
                let outcome = timeout(patience, ensure).await;
                if let Ok(Some(Ok(()))) = outcome {
                    self.world.record(What::Ensured {
                        op: *op,
                        at_least,
                        valid_for: guard.valid_for(),
                    });
                }
                outcome.unwrap_or(Some(Ok(())))
            }
        };
        match outcome.map(|result| result.map_err(|error| error.kind())) {
            Some(Ok(())) => false,
            Some(Err(kind)) => {
                self.world.record(What::UseFailed { op: *op, kind });
                kind == ErrorKind::Lost && self.is_known_lost().await
            }
            None => true,
        }
    }

    /// What comes of something that ends with the hold; `None`, and so noted, if it does not.
    async fn told_in_time<T>(&self, told: impl Future<Output = T>) -> Option<T> {
        let mut told = std::pin::pin!(told);
        loop {
            tokio::select! {
                biased;
                told = &mut told => return Some(told),
                () = sleep(self.guard.valid_for() + TIMER) => {
                    if !self.guard.is_held() {
                        self.world.record(What::LossUntold { op: self.op });
                        return None;
                    }
                }
            }
        }
    }

    /// Whether the guard says that it is lost, now.
    async fn is_known_lost(&self) -> bool {
        match timeout(Duration::ZERO, self.guard.lost()).await {
            Ok(loss) => self.note_loss(loss),
            Err(_) => false,
        }
    }

    fn note_loss(&self, loss: Loss) -> bool {
        let op = self.op;
        self.world.record(What::LossTold { op, loss });
        true
    }

    async fn give_up(self, end: End) {
        let Self { world, op, guard } = self;
        // A client that has crashed has none any more.
        if world.give_up(op).is_none() {
            return;
        }
        // Nobody else has it now.
        let Some(guard) = Arc::into_inner(guard) else {
            return;
        };
        match end {
            End::Drop => drop(guard),
            End::ReleaseUnawaited => drop(guard.release()),
            End::Release => {
                let result = guard.release().await.map_err(|error| error.kind());
                world.record(What::Released { op, result });
            }
        }
    }
}
