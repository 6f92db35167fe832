use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::live::LiveClaim;
use super::{Engine, Spec, backoff, request_time, unanswered_time};
use crate::backend::{self, Released, Renewal, Watched};
use crate::clock::{Deadline, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::Loss;
use crate::sync::{AsyncMutex, AtomicU32, oneshot, watch};
use crate::telemetry;
use crate::token::FencingToken;

/// One granted claim: what the guard, the keeper and the signals of its backend share.
pub(crate) struct Hold {
    pub(crate) engine: Arc<Engine>,
    pub(crate) spec: Arc<Spec>,
    pub(crate) token: FencingToken,
    /// The TTL in force, which may be less than was asked for.
    ttl: Duration,
    /// For how long after it was dated the hold counts as valid.
    validity: Duration,
    granted: Moment,
    /// When `max_hold` ends it.
    limit: Option<Moment>,
    status: watch::Sender<Status>,
    /// Taken by whoever ends the hold; locked by the renewal in flight.
    claim: AsyncMutex<Option<LiveClaim>>,
    /// Renewals that failed in a row.
    failures: AtomicU32,
    /// Its place in the keeper's table.
    kept_as: u64,
}

/// What beginning a hold came to.
pub(crate) enum Begun {
    Held(Arc<Hold>),
    /// It is not to be used; the claim still stands in the store.
    Unusable(LiveClaim, Error),
}

/// What can change of a hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) valid_until: Moment,
    pub(crate) loss: Option<Loss>,
}

impl Hold {
    /// Takes a granted claim into the keeper's care, unless its validity is over already or its
    /// number is none.
    pub(crate) fn begin(engine: &Arc<Engine>, claim: LiveClaim, granted: backend::Hold) -> Begun {
        let token = match FencingToken::from_number(granted.number) {
            Ok(token) => token,
            Err(error) => return Begun::Unusable(claim, error),
        };
        let validity = engine.drift.validity(granted.ttl);
        let valid_until = granted.as_of.far_add(validity);
        let now = Moment::now();
        if valid_until <= now {
            let error = Error::new(
                ErrorKind::Unavailable,
                "granted, but the answer took longer than the grant was valid; use a longer TTL",
            );
            return Begun::Unusable(claim, error);
        }
        let spec = Arc::clone(&claim.spec);
        let signals = Arc::clone(&claim.signals);
        let hold = Arc::new(Self {
            engine: Arc::clone(engine),
            token,
            ttl: granted.ttl,
            validity,
            granted: now,
            limit: spec.max_hold.map(|limit| now.far_add(limit)),
            spec,
            status: watch::Sender::new(Status {
                valid_until,
                loss: None,
            }),
            claim: AsyncMutex::new(Some(claim)),
            failures: AtomicU32::new(0),
            kept_as: engine.keeper.number(),
        });
        engine.keeper.add(&hold, hold.renewal_due(granted.as_of));
        let watched: Weak<dyn Watched> = Arc::downgrade(&hold) as Weak<dyn Watched>;
        signals.watch(watched);
        Begun::Held(hold)
    }

    /// Why it is not held at this moment, if it is not. Judged by the clock, not by what a timer
    /// has done.
    pub(crate) fn loss_at(&self, now: Moment) -> Option<Loss> {
        let status = *self.status.borrow();
        status.loss.or_else(|| self.ended_by_clock(&status, now))
    }

    fn ended_by_clock(&self, status: &Status, now: Moment) -> Option<Loss> {
        if self.limit.is_some_and(|limit| limit <= now) {
            Some(Loss::MaxHold)
        } else if status.valid_until <= now {
            Some(Loss::Expired)
        } else {
            None
        }
    }

    /// When the clock ends it unless it is renewed.
    pub(crate) fn ends(&self) -> Moment {
        let valid_until = self.status.borrow().valid_until;
        self.limit
            .map_or(valid_until, |limit| limit.min(valid_until))
    }

    /// When a hold dated so is to be renewed: within a third of its TTL, spread so that holds
    /// granted together are not renewed together. Not at all, if it is valid for as long as
    /// `max_hold` allows.
    fn renewal_due(&self, as_of: Moment) -> Option<Moment> {
        let valid_until = as_of.far_add(self.validity);
        if self.limit.is_some_and(|limit| limit <= valid_until) {
            return None;
        }
        let spread = 0.75 + 0.25 * fastrand::f64();
        Some(as_of.far_add((self.ttl / 3).mul_f64(spread)))
    }

    /// When `max_hold` ends it.
    pub(crate) fn limit(&self) -> Option<Moment> {
        self.limit
    }

    /// For how long a renewal makes it valid, at most.
    pub(crate) fn validity(&self) -> Duration {
        self.validity
    }

    pub(crate) fn kept_as(&self) -> u64 {
        self.kept_as
    }

    /// Changes of its status, the present one unseen.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Has it renewed now rather than when it is due.
    pub(crate) fn renew_soon(&self) {
        self.engine.keeper.schedule(self, Some(self.engine.now()));
    }

    /// Asks the store once for another TTL.
    pub(crate) async fn renew(self: Arc<Self>) {
        let mut guarded = self.claim.lock().await;
        let Some(claim) = guarded.as_mut() else {
            return;
        };
        let ttl = self.ttl;
        let by = Deadline::within(request_time(ttl).min(self.ends().remaining()));
        let result = claim.renew(by).await;
        drop(guarded);
        match result {
            Ok(Renewal::Extended(as_of)) if self.extend(as_of) => {
                self.failures.store(0, Ordering::Relaxed);
                let due = self.renewal_due(as_of);
                self.engine.keeper.schedule(&self, due);
            }
            // The answer came after the clock had ended the hold; it stays ended.
            Ok(Renewal::Extended(_)) => self.end_by_clock(),
            Ok(Renewal::Lost) => self.end(self.loss_at(Moment::now()).unwrap_or(Loss::Revoked)),
            Err(error) => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                let left = self.ends().remaining();
                telemetry::renewal_failed(
                    self.engine.store(),
                    &self.spec,
                    self.token,
                    left,
                    &error,
                );
                let again = Moment::now() + backoff::pause(ttl, failures);
                self.engine.keeper.schedule(&self, Some(again));
            }
        }
    }

    /// Moves the end; `false` if the hold has ended before.
    fn extend(&self, as_of: Moment) -> bool {
        let valid_until = as_of.far_add(self.validity);
        let now = Moment::now();
        let mut held = false;
        self.status.send_if_modified(|status| {
            held = status.loss.is_none() && self.ended_by_clock(status, now).is_none();
            let later = held && status.valid_until < valid_until;
            if later {
                status.valid_until = valid_until;
            }
            later
        });
        if held {
            telemetry::renewed(
                self.engine.store(),
                &self.spec,
                self.token,
                self.ends().since(now),
            );
        }
        held
    }

    /// Ends it if the clock says so.
    pub(crate) fn end_by_clock(self: &Arc<Self>) {
        let status = *self.status.borrow();
        if let Some(loss) = self.ended_by_clock(&status, self.engine.now()) {
            self.end(loss);
        }
    }

    /// Ends it for this reason, unless it has ended before, and frees it in the store in the
    /// background.
    pub(crate) fn end(self: &Arc<Self>, loss: Loss) {
        if let Some((release, _)) = self.finish(loss) {
            self.engine.spawn(release);
        }
    }

    /// As [`end`](Self::end) by its user, if it has not ended before; what the release in the store
    /// comes to is sent to the receiver, an error at the latest when the store has not answered for
    /// long.
    pub(crate) fn give_back(self: &Arc<Self>) -> Option<oneshot::Receiver<Result<Released>>> {
        let (release, released) = self.finish(Loss::Released)?;
        self.engine.begin(release);
        Some(released)
    }

    /// Ends it, unless it has ended before. What is to be done then, and where that is told.
    fn finish(
        self: &Arc<Self>,
        loss: Loss,
    ) -> Option<(
        impl Future<Output = ()> + Send + use<>,
        oneshot::Receiver<Result<Released>>,
    )> {
        if self.status.borrow().loss.is_some() {
            return None;
        }
        // Opened before the end shows: whoever sees that can wait for the release.
        let ticket = self.engine.pending.open(&self.spec.name);
        let first = self.status.send_if_modified(|status| {
            let first = status.loss.is_none();
            status.loss.get_or_insert(loss);
            first
        });
        if !first {
            return None;
        }
        self.engine.keeper.remove(self.kept_as);
        let (answer, released) = oneshot::channel();
        let hold = Arc::clone(self);
        let release = async move {
            telemetry::ended(
                hold.engine.store(),
                &hold.spec,
                hold.token,
                loss,
                hold.granted.elapsed(),
            );
            hold.release(answer).await;
            drop(ticket);
        };
        Some((release, released))
    }

    async fn release(&self, answer: oneshot::Sender<Result<Released>>) {
        let Some(claim) = self.claim.lock().await.take() else {
            return;
        };
        let release = claim.release();
        tokio::pin!(release);
        let patience = unanswered_time(self.ttl);
        // Nobody listens to the release of a dropped guard.
        tokio::select! {
            biased;
            result = &mut release => {
                let _ = answer.send(result);
                return;
            }
            () = tokio::time::sleep(patience) => {
                let unconfirmed = format!(
                    "the store has not confirmed it for {patience:.1?}; \
                     it goes on being asked in the background"
                );
                let _ = answer.send(Err(Error::new(ErrorKind::Unavailable, unconfirmed)));
            }
        }
        // Each failure has been traced, and the TTL ends the claim.
        let _ = release.await;
    }
}

impl Watched for Hold {
    fn gone(self: Arc<Self>) {
        // The clock may have ended it first, and nobody have looked at it yet.
        self.end(self.loss_at(self.engine.now()).unwrap_or(Loss::Revoked));
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("spec", &self.spec)
            .field("token", &self.token)
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}
