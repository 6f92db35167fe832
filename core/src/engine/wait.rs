use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::caller::{Caller, Kind};
use super::hold::{Begun, Hold};
use super::live::LiveClaim;
use super::{Engine, MIN_UNANSWERED, Spec, backoff, request_time, unanswered_time};
use crate::backend::{Attempt, Blocked, Patience};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::Guard;
use crate::telemetry;

/// Acquires for a caller, or ends the claim if the caller goes first.
pub(super) async fn acquire(engine: Arc<Engine>, spec: Arc<Spec>, kind: Kind, caller: Caller) {
    let began = Moment::now();
    match kind {
        Kind::Try => try_once(&engine, &spec, caller, began).await,
        Kind::Wait(_) => wait_in_line(&engine, &spec, caller, began).await,
    }
}

/// What standing in line came to.
enum Stood {
    Granted(Arc<Hold>),
    /// The caller has gone; the claim still stands.
    GaveUp {
        claim: LiveClaim,
        /// Set if the store had not answered lately: since when.
        silent_since: Option<Moment>,
    },
    Failed {
        error: Error,
        /// Set if the reason is that the store has not answered: since when.
        silent_since: Option<Moment>,
    },
}

async fn wait_in_line(engine: &Arc<Engine>, spec: &Arc<Spec>, mut caller: Caller, began: Moment) {
    let turn = tokio::select! {
        biased;
        turn = engine.lines.turn(&spec.name, unanswered_time(spec.ttl.get())) => turn,
        () = caller.gave_up() => return telemetry::gave_up(engine.store(), spec, began.elapsed()),
    };
    let begun = turn.and_then(|mut turn| {
        let claim = match turn.inherit().filter(|claim| claim.serves(spec)) {
            Some(inherited) => inherited.inherited_by(spec, &caller.left),
            None => LiveClaim::new(engine, spec, &caller.left)?,
        };
        Ok((turn, claim))
    });
    let (mut turn, claim) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            telemetry::failed(engine.store(), spec, &error);
            return caller.answer(Err(error));
        }
    };
    let silent_since = turn.silent_since.take().map(|since| since.max(began));
    match stand(engine, claim, &mut caller, silent_since).await {
        Stood::Granted(hold) => {
            // The next joins the store's line now, while this one holds.
            turn.pass(None);
            telemetry::acquired(engine.store(), spec, hold.token, began.elapsed());
            caller.answer(Ok(Some(Guard::new(hold))));
        }
        Stood::GaveUp {
            claim,
            silent_since,
        } => {
            turn.silent_since = silent_since;
            telemetry::gave_up(engine.store(), spec, began.elapsed());
            drop(turn.pass(Some(claim)));
        }
        Stood::Failed {
            error,
            silent_since,
        } => {
            if let Some(since) = silent_since {
                turn.store_is_silent(since, &error);
            }
            telemetry::failed(engine.store(), spec, &error);
            caller.answer(Err(error));
        }
    }
}

/// Asks for the lock until it is granted, the caller has gone, or the store has failed for too
/// long.
async fn stand(
    engine: &Arc<Engine>,
    mut claim: LiveClaim,
    caller: &mut Caller,
    silent_since: Option<Moment>,
) -> Stood {
    let ttl = claim.spec.ttl.get();
    let mut trouble = Trouble::new(ttl, unanswered_time(ttl));
    trouble.since = silent_since;
    let mut is_refresh = false;
    loop {
        let asked = Moment::now();
        let attempt = attempt(&mut claim, caller, is_refresh).await;
        is_refresh = false;
        if caller.has_given_up() {
            return trouble.gave_up(claim);
        }
        let error = match attempt {
            Ok(Attempt::Blocked(blocked)) => {
                trouble.is_over();
                let pause = until_next_look(blocked, asked, ttl);
                tokio::select! {
                    biased;
                    () = caller.gave_up() => return trouble.gave_up(claim),
                    () = claim.signals.looked() => {}
                    () = sleep(pause) => is_refresh = true,
                }
                continue;
            }
            Ok(Attempt::Held(granted)) => match Hold::begin(engine, claim, granted) {
                Begun::Held(hold) => return Stood::Granted(hold),
                Begun::Unusable(standing, error) => {
                    claim = standing;
                    error
                }
            },
            Err(error) => error,
        };
        match trouble.judge(error, asked) {
            Ok(pause) => {
                caller.failure.clone_from(&trouble.latest);
                tokio::select! {
                    biased;
                    () = caller.gave_up() => return trouble.gave_up(claim),
                    () = sleep(pause) => {}
                }
            }
            Err(error) => {
                let silent_since = trouble
                    .since
                    .filter(|_| error.kind() == ErrorKind::Unavailable);
                return Stood::Failed {
                    error,
                    silent_since,
                };
            }
        }
    }
}

/// One attempt, to its end. If the caller goes meanwhile, its patience ends, and the attempt in its
/// own time.
async fn attempt(claim: &mut LiveClaim, caller: &mut Caller, is_refresh: bool) -> Result<Attempt> {
    let (mut patience, end) = Patience::unlimited(request_time(claim.spec.ttl.get()));
    if is_refresh {
        patience = patience.of_refresh();
    }
    let mut attempt = pin!(claim.attempt(&patience));
    tokio::select! {
        biased;
        result = &mut attempt => result,
        () = caller.gave_up() => {
            end.end();
            attempt.await
        }
    }
}

async fn try_once(engine: &Arc<Engine>, spec: &Arc<Spec>, mut caller: Caller, began: Moment) {
    let result = tried(engine, spec, &mut caller).await;
    match &result {
        _ if caller.has_given_up() => telemetry::gave_up(engine.store(), spec, began.elapsed()),
        Ok(Some(guard)) => {
            telemetry::acquired(engine.store(), spec, guard.token(), began.elapsed());
        }
        Ok(None) => telemetry::busy(engine.store(), spec),
        Err(error) => telemetry::failed(engine.store(), spec, error),
    }
    caller.answer(result);
}

/// Asks once, and again only where the answer was lost.
async fn tried(
    engine: &Arc<Engine>,
    spec: &Arc<Spec>,
    caller: &mut Caller,
) -> Result<Option<Guard>> {
    let ttl = spec.ttl.get();
    // Shorter than for one that waits: who only tries wants to know soon.
    let unanswered = (unanswered_time(ttl) / 3).max(MIN_UNANSWERED);
    tokio::select! {
        biased;
        () = engine.pending.name_settled(&spec.name) => {}
        () = caller.gave_up() => return Ok(None),
        () = sleep(unanswered) => return Err(Error::new(
            ErrorKind::Unavailable,
            format!("this process's own release of it has not been confirmed for {unanswered:.1?}"),
        )),
    }
    let mut claim = LiveClaim::new(engine, spec, &caller.left)?;
    let mut trouble = Trouble::new(ttl, unanswered);
    loop {
        let asked = Moment::now();
        let error = match claim.attempt(&Patience::none(request_time(ttl))).await {
            Ok(Attempt::Blocked(_)) => {
                claim.left_nothing();
                return Ok(None);
            }
            Ok(Attempt::Held(granted)) => match Hold::begin(engine, claim, granted) {
                Begun::Held(hold) => return Ok(Some(Guard::new(hold))),
                Begun::Unusable(standing, error) => {
                    claim = standing;
                    error
                }
            },
            Err(error) => error,
        };
        let pause = trouble.judge(error, asked)?;
        tokio::select! {
            biased;
            () = caller.gave_up() => return Ok(None),
            () = sleep(pause) => {}
        }
    }
}

/// When to look again if nothing is told: when the store says, and in time to refresh the own
/// place.
fn until_next_look(blocked: Blocked, asked: Moment, ttl: Duration) -> Duration {
    let refresh = (ttl / 3).saturating_sub(asked.elapsed());
    blocked
        .recheck
        .map_or(refresh, |recheck| recheck.min(refresh))
}

/// Failures of the store in a row.
struct Trouble {
    ttl: Duration,
    too_long: Duration,
    since: Option<Moment>,
    failures: u32,
    latest: Option<Error>,
}

impl Trouble {
    /// None yet; `Unavailable` is put up with for so long.
    fn new(ttl: Duration, too_long: Duration) -> Self {
        Self {
            ttl,
            too_long,
            since: None,
            failures: 0,
            latest: None,
        }
    }

    /// The caller has gone in the middle of it, or without any.
    fn gave_up(&self, claim: LiveClaim) -> Stood {
        Stood::GaveUp {
            claim,
            silent_since: self.since,
        }
    }

    /// The store has answered.
    fn is_over(&mut self) {
        *self = Self::new(self.ttl, self.too_long);
    }

    /// How long to wait before asking again, after the failure of what was asked then; the error if
    /// that is no use, or has been for too long. The last request begins when it becomes too long.
    fn judge(&mut self, error: Error, asked: Moment) -> Result<Duration> {
        if error.kind() != ErrorKind::Unavailable {
            return Err(error);
        }
        self.failures += 1;
        // Where the server does the waiting, it had not failed before the last request.
        let last = || asked + asked.elapsed().saturating_sub(request_time(self.ttl));
        let silent = self.since.get_or_insert_with(last).elapsed();
        let left = self.too_long.saturating_sub(silent);
        if left.is_zero() {
            let asked = format!("asked {} times in {:.1?}", self.failures, self.too_long);
            return Err(error.clone().noting(&asked).with_source(error));
        }
        self.latest = Some(error);
        Ok(backoff::pause(self.ttl, self.failures).min(left))
    }
}
