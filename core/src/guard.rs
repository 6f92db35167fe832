//! The user's handle on a hold.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::Released;
use crate::engine::Engine;
use crate::engine::hold::Hold;
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;
use crate::sync::oneshot;
use crate::token::FencingToken;

/// A lock that is held. Dropping it releases.
///
/// The hold is renewed in the background until it is released, [`lost`](Self::lost), or past its
/// `max_hold`. It can end before it is released, so long work should run under
/// [`while_held`](Self::while_held), or check [`is_held`](Self::is_held) before each step, and pass
/// [`token`](Self::token) to what it changes.
///
/// A guard can be dropped anywhere: on a thread without a runtime, while unwinding, after shutdown.
/// Releasing by drop happens in the background. A program that ends right after must first await
/// [`release`](Self::release) or [`Locks::settle`](crate::Locks::settle), or the next holder waits
/// for the TTL.
#[must_use = "the lock is released at once if the guard is not kept"]
#[clippy::has_significant_drop]
pub struct Guard {
    hold: Arc<Hold>,
}

/// Why a guard does not hold its lock any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// Its validity ended before it could be renewed.
    Expired,
    /// The store said that the hold is gone: an operator removed it, or the store forgot it.
    Revoked,
    /// It was held for as long as `max_hold` allows.
    MaxHold,
    /// It was released.
    Released,
}

impl Guard {
    pub(crate) fn new(hold: Arc<Hold>) -> Self {
        Self { hold }
    }

    /// What is locked.
    pub fn name(&self) -> &Name {
        &self.hold.spec.name
    }

    /// The fencing token of this hold: greater than that of every earlier grant of this name.
    pub fn token(&self) -> FencingToken {
        self.hold.token
    }

    /// Whether the lock is held at this moment. Judged by the clock at the call.
    ///
    /// What it says can be outdated the moment it returns; see [`token`](Self::token) for the
    /// remedy.
    pub fn is_held(&self) -> bool {
        self.loss().is_none()
    }

    /// For how long the hold is valid from now if it is not renewed; zero if it is lost.
    pub fn valid_for(&self) -> Duration {
        let now = self.hold.engine.now();
        match self.hold.loss_at(now) {
            Some(_) => Duration::ZERO,
            None => self.hold.ends().since(now),
        }
    }

    /// Resolves when the lock is not held any more, with the reason; at the end of its validity at
    /// the latest, whatever the store does. Owned: it can move into another task.
    pub fn lost(&self) -> Lost {
        let mut status = self.hold.status();
        let changed = Box::pin(async move {
            // An error means that the hold is no more, which cannot be while `Lost` has it.
            let _ = status.wait_for(|status| status.loss.is_some()).await;
        });
        Lost {
            hold: Arc::clone(&self.hold),
            changed,
        }
    }

    /// Runs `work` as long as the lock is held, and gives its output if the lock still was when it
    /// ended.
    ///
    /// # Errors
    /// `Lost` if the lock was lost before `work` was done; `work` is dropped at that moment. It may
    /// have had effects.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work`; the guard stays.
    pub async fn while_held<F: Future>(&self, work: F) -> Result<F::Output> {
        let mut work = pin!(work);
        let mut lost = self.lost();
        std::future::poll_fn(|context| {
            if let Poll::Ready(loss) = Pin::new(&mut lost).poll(context) {
                return Poll::Ready(Err(self.lost_error(loss, "while_held")));
            }
            work.as_mut()
                .poll(context)
                .map(|output| self.check("while_held").map(|()| output))
        })
        .await
    }

    /// Makes sure that the hold is valid for at least this long, by renewing it now if need be.
    ///
    /// # Errors
    /// `Lost` if the lock is lost, or its `max_hold` ends earlier than that; `InvalidInput` if no
    /// renewal could make it valid for that long; `Unavailable` if the store takes so long to renew
    /// it that less is left.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ensure(&self, at_least: Duration) -> Result<()> {
        const DOING: &str = "ensure";
        let fail = |kind, message| Error::new(kind, message).during(DOING, self.name());
        let validity = self.hold.validity();
        if at_least > validity {
            let message = format!(
                "a hold with this TTL is valid for {validity:?} at most; {at_least:?} was asked"
            );
            return Err(fail(ErrorKind::InvalidInput, message));
        }
        let asked = self.hold.engine.now();
        let mut status = self.hold.status();
        loop {
            let valid_until = status.borrow_and_update().valid_until;
            self.check(DOING)?;
            let left = self.valid_for();
            if left >= at_least {
                return Ok(());
            }
            let now = self.hold.engine.now();
            if self
                .hold
                .limit()
                .is_some_and(|limit| limit.since(now) < at_least)
            {
                return Err(fail(
                    ErrorKind::Lost,
                    "its `max_hold` ends earlier than that".to_owned(),
                ));
            }
            if valid_until >= asked + validity {
                let message = format!(
                    "renewed, but only {left:?} of validity is left; \
                     ask for less or use a longer TTL"
                );
                return Err(fail(ErrorKind::Unavailable, message));
            }
            self.hold.renew_soon();
            // An error means that the hold is no more, which cannot be while the guard has it.
            let _ = status.changed().await;
        }
    }

    /// Releases the lock. The release begins at the call; the future only tells what came of it,
    /// and dropping it changes nothing.
    ///
    /// # Errors
    /// `Lost` if the lock was not held any more; `Unavailable` if the store has not confirmed the
    /// release for a TTL (within 1 and 30 seconds). It goes on being asked in the background.
    pub fn release(self) -> Release {
        let hold = Arc::clone(&self.hold);
        let outcome = match hold.loss_at(hold.engine.now()) {
            Some(loss) => {
                hold.end(loss);
                Outcome::Lost(loss)
            }
            // Between the two looks it may have been lost.
            None => hold
                .give_back()
                .map_or(Outcome::Lost(Loss::Expired), Outcome::Asked),
        };
        Release { hold, outcome }
    }

    fn loss(&self) -> Option<Loss> {
        self.hold.loss_at(self.hold.engine.now())
    }

    fn check(&self, doing: &'static str) -> Result<()> {
        self.loss()
            .map_or(Ok(()), |loss| Err(self.lost_error(loss, doing)))
    }

    fn lost_error(&self, loss: Loss, doing: &'static str) -> Error {
        lost_error(loss).during(doing, self.name())
    }
}

fn lost_error(loss: Loss) -> Error {
    Error::new(ErrorKind::Lost, format!("not held any more: {loss}"))
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.hold.end(Loss::Released);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", self.name())
            .field("token", &self.token())
            .field("valid_for", &self.valid_for())
            .finish()
    }
}

impl Loss {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::MaxHold => "max_hold",
            Self::Released => "released",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its validity ended before it could be renewed",
            Self::Revoked => "the store says that the hold is gone",
            Self::MaxHold => "it was held for as long as `max_hold` allows",
            Self::Released => "it was released",
        })
    }
}

/// Resolves when a lock is not held any more. Made by [`Guard::lost`].
///
/// # Cancel safety
/// Dropping it changes nothing.
#[must_use = "futures do nothing unless they are awaited or polled"]
pub struct Lost {
    hold: Arc<Hold>,
    changed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Lost {
    type Output = Loss;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Loss> {
        // The clock may be ahead of the keeper, on a runtime that was blocked for long.
        let judge = |hold: &Hold| hold.loss_at(hold.engine.now());
        if let Some(loss) = judge(&self.hold) {
            return Poll::Ready(loss);
        }
        match self.changed.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(judge(&self.hold).unwrap_or(Loss::Expired)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lost")
            .field("name", &self.hold.spec.name)
            .finish_non_exhaustive()
    }
}

/// What came of a release. Made by [`Guard::release`]; resolves to `Err(Lost)` if the lock was not
/// held any more.
///
/// # Cancel safety
/// The release has begun already; dropping this changes nothing.
#[must_use = "only the result tells whether the lock was held until its release"]
pub struct Release {
    hold: Arc<Hold>,
    outcome: Outcome,
}

enum Outcome {
    Lost(Loss),
    Asked(oneshot::Receiver<Result<Released>>),
}

impl Future for Release {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let result = match &mut self.outcome {
            Outcome::Lost(loss) => Err(lost_error(*loss)),
            Outcome::Asked(answer) => match std::task::ready!(Pin::new(answer).poll(context)) {
                Ok(Ok(Released::Held)) => Ok(()),
                Ok(Ok(Released::NotHeld)) => Err(lost_error(Loss::Revoked)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Engine::gone()),
            },
        };
        Poll::Ready(result.map_err(|error| error.during("release", &self.hold.spec.name)))
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release")
            .field("name", &self.hold.spec.name)
            .finish_non_exhaustive()
    }
}
