use std::pin::Pin;
use std::time::Duration;

use distlock_core::{ErrorKind, Guard, Locks, Result};
use tokio::task::yield_now;

use crate::faults::Verb;
use crate::form::Form;

/// A public future with all that it needs, a guard included if it is about one: dropping it is all
/// that a caller can do to go away.
pub(super) type Asked = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Which public future is polled and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Acquire,
    AcquireWithin(Duration),
    TryAcquire,
    Run,
    WhileHeld,
    Ensure,
    Lost,
    Release,
    /// The guard goes while nothing is being asked of it.
    Guard,
    Settle,
    Inspect,
    Watch,
}

/// Longer than any case.
const AMPLE: Duration = Duration::from_secs(3600);
/// Shorter than any case notices, and longer than a request takes.
const SHORT: Duration = Duration::from_millis(25);

impl Ask {
    /// Those that ask for the lock.
    pub(super) const CONTENDING: [Self; 5] = [
        Self::Acquire,
        Self::AcquireWithin(AMPLE),
        Self::AcquireWithin(SHORT),
        Self::TryAcquire,
        Self::Run,
    ];
    /// Those that begin with the lock held.
    pub(super) const HOLDING: [Self; 6] = [
        Self::WhileHeld,
        Self::Ensure,
        Self::Lost,
        Self::Release,
        Self::Guard,
        Self::Settle,
    ];
    /// Those that only look.
    pub(super) const LOOKING: [Self; 2] = [Self::Inspect, Self::Watch];

    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::CONTENDING
            .into_iter()
            .chain(Self::HOLDING)
            .chain(Self::LOOKING)
    }

    fn contends(self) -> bool {
        Self::CONTENDING.contains(&self)
    }

    pub(super) fn holds(self) -> bool {
        Self::HOLDING.contains(&self)
    }

    /// Whether it makes a difference to it how the lock is held: there is a `run` for exclusive
    /// locks only, and those that look do not hold it.
    pub(super) fn has_a_form(self) -> bool {
        self.holds() || self.contends() && self != Self::Run
    }

    /// Whether it stays in line for as long as the lock is held.
    pub(super) fn waits(self) -> bool {
        matches!(self, Self::Acquire | Self::AcquireWithin(AMPLE) | Self::Run)
    }

    /// Whether it takes its time without any request being slow.
    pub(super) fn takes_time(self) -> bool {
        self == Self::AcquireWithin(SHORT)
    }

    /// Whether it never completes, so that so many polls tell all there is to tell.
    pub(super) fn is_told_by(self, polls: u32) -> bool {
        matches!(self, Self::Lost | Self::Guard) && polls >= 6
    }

    /// The requests that it takes, and those that take it back.
    pub(super) fn verbs(self) -> &'static [Verb] {
        match self {
            Self::Inspect | Self::Watch => &[Verb::Inspect],
            Self::Ensure => &[Verb::Renew, Verb::Release],
            _ if self.holds() => &[Verb::Release],
            _ => &[Verb::Attempt, Verb::Release],
        }
    }

    /// The error that it may well end with.
    pub(super) fn may_fail_with(self) -> Option<ErrorKind> {
        match self {
            Self::AcquireWithin(SHORT) => Some(ErrorKind::TimedOut),
            // Renewed, and the answer took part of what was asked for.
            Self::Ensure => Some(ErrorKind::Unavailable),
            Self::Inspect | Self::Watch => Some(ErrorKind::Unavailable),
            _ => None,
        }
    }

    /// The future, not yet polled. Of `guard`, which those that [hold](Self::holds) have, it is the
    /// owner.
    pub(super) fn of(self, form: Form, locks: &Locks, name: &str, guard: Option<Guard>) -> Asked {
        let (locks, name) = (locks.clone(), name.to_owned());
        match (self, guard) {
            (Self::Acquire, _) => kept_to_itself(form.acquire(&locks, &name)),
            (Self::AcquireWithin(limit), _) => {
                kept_to_itself(form.acquire_within(&locks, &name, limit))
            }
            (Self::TryAcquire, _) => kept_to_itself(form.try_acquire(&locks, &name)),
            (Self::Run, _) => {
                let lock = locks.lock(name);
                Box::pin(async move { lock.run(async |_| some_work().await).await })
            }
            (Self::WhileHeld, Some(guard)) => {
                Box::pin(async move { guard.while_held(some_work()).await })
            }
            (Self::Ensure, Some(guard)) => {
                let at_grant = guard.valid_for();
                Box::pin(async move { guard.ensure(at_grant).await })
            }
            (Self::Lost, Some(guard)) => Box::pin(async move {
                guard.lost().await;
                Ok(())
            }),
            (Self::Release, Some(guard)) => Box::pin(async move { guard.release().await }),
            (Self::Guard, Some(guard)) => Box::pin(async move {
                std::future::pending::<()>().await;
                drop(guard);
                Ok(())
            }),
            (Self::Settle, Some(guard)) => Box::pin(async move {
                drop(guard);
                locks.settle().await;
                Ok(())
            }),
            (Self::Inspect, _) => Box::pin(async move { locks.inspect(name).await.map(drop) }),
            (Self::Watch, _) => Box::pin(async move { locks.watch(name).next().await.map(drop) }),
            (_, None) => unreachable!("{self:?} is about a guard"),
        }
    }
}

/// What it is granted is dropped where its future completes.
fn kept_to_itself<T>(asked: impl Future<Output = Result<T>> + Send + 'static) -> Asked {
    Box::pin(async move { asked.await.map(drop) })
}

async fn some_work() {
    for _ in 0..3 {
        yield_now().await;
    }
}
