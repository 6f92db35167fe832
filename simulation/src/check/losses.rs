//! That losses are told in time, and that nothing is lost without need.

use std::collections::HashMap;
use std::time::Duration;

use distlock_core::{ErrorKind, Loss};

use super::facts::Facts;
use super::{Promise, Violation};
use crate::event::{Event, What};
use crate::journey::PROMPT;

/// P5 and P6: what a user is told of the end of its hold.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    // When each guard's user knew that it is no more, or gave it up.
    let mut ended: HashMap<usize, Duration> = HashMap::new();
    for Event { at, what } in facts.events {
        match *what {
            What::LossUntold { op } => {
                let what = format!("the guard of operation {op} is lost and its user was not told");
                found.push(Violation::new(Promise::LossTold, *at, what));
            }
            What::LossTold { op, loss } => {
                found.extend(judge_loss(facts, *at, op, loss));
                ended.entry(op).or_insert(*at);
            }
            What::GivenUp { op, .. }
            | What::UseFailed {
                op,
                kind: ErrorKind::Lost,
            } => {
                ended.entry(op).or_insert(*at);
            }
            _ => {}
        }
    }
    for Event { at, what } in facts.events {
        if let What::Received {
            op,
            valid_for: Some(_),
            ..
        } = *what
        {
            let ended = ended.get(&op).copied();
            found.extend(judge_forgotten(facts, *at, op, ended));
            found.extend(judge_hinted(facts, *at, op, ended));
            found.extend(judge_denied(facts, *at, op, ended));
        }
    }
    found
}

/// A hold is not lost while everything was well for a TTL, nor called revoked while it stands.
fn judge_loss(facts: &Facts<'_>, at: Duration, op: usize, loss: Loss) -> Option<Violation> {
    let asked = facts.asked(op)?;
    let was_well = facts
        .troubles
        .was_well(asked.client, at.saturating_sub(facts.own_ttl(op)), at);
    let is_needless = match loss {
        Loss::Expired => was_well,
        Loss::Revoked => true,
        _ => false,
    };
    if !is_needless || facts.forgotten(op, at).is_some() || has_ended(facts, at, op) {
        return None;
    }
    let what = format!("operation {op} was told of a loss ({loss}) that was not due");
    Some(Violation::new(Promise::Renewal, at, what))
}

/// Whether the store had ended the hold by then.
fn has_ended(facts: &Facts<'_>, at: Duration, op: usize) -> bool {
    facts.grant_of(op).is_some_and(|grant| {
        facts.events.iter().any(|event| {
            event.at >= grant.at
                && event.at <= at
                && matches!(event.what, What::Gone { claim, .. } if claim == grant.claim)
        })
    })
}

/// Where the store forgot a hold, the next renewal tells: once the store is back, within the time
/// that an earlier request is waited for, the pause after it, and that of a third of the TTL.
fn judge_forgotten(
    facts: &Facts<'_>,
    received: Duration,
    op: usize,
    ended: Option<Duration>,
) -> Option<Violation> {
    let (asked, grant) = (facts.asked(op)?, facts.grant_of(op)?);
    let forgotten = facts.forgotten(op, Duration::MAX)?;
    let back = forgotten.back.max(received);
    let is_back = facts.terms.in_sessions && facts.joined_after(grant.claim, forgotten.at);
    // What was sent while it was away is prompt from here on.
    let since = back + 2 * PROMPT;
    let due = since + facts.own_ttl(op) / 2;
    // One that need not be renewed, for its `max_hold` ends it before, is not told.
    let is_due = asked.max_hold.is_none()
        && !is_back
        && facts.events.last()?.at >= due
        && facts.troubles.was_well(asked.client, since, due);
    if !is_due || ended.is_some_and(|ended| ended <= due) {
        return None;
    }
    let what = format!("operation {op} was not told that the store has forgotten its hold");
    Some(Violation::new(Promise::LossTold, due, what))
}

/// Where the store says that a hold is gone, its user is told at once.
fn judge_hinted(
    facts: &Facts<'_>,
    received: Duration,
    op: usize,
    ended: Option<Duration>,
) -> Option<Violation> {
    let (asked, hold) = (facts.asked(op)?, facts.hold_of(op)?);
    let hinted = facts.events.iter().find(|event| {
        matches!(&event.what, What::Hinted { gone, journey, .. }
            if *gone == Some(hold) && journey.is_prompt())
    })?;
    let due = hinted.at + 2 * PROMPT;
    let is_due = received <= hinted.at
        && facts.events.last()?.at >= due
        && facts.troubles.can_hear(asked.client, hinted.at, due);
    if !is_due || ended.is_some_and(|ended| ended <= due) {
        return None;
    }
    let what = format!("operation {op} was not told that the store says its hold is gone");
    Some(Violation::new(Promise::LossTold, due, what))
}

/// Where a heartbeat finds that the session is no more, the users of all that was held under it are
/// told at once.
fn judge_denied(
    facts: &Facts<'_>,
    received: Duration,
    op: usize,
    ended: Option<Duration>,
) -> Option<Violation> {
    let (asked, grant) = (facts.asked(op)?, facts.grant_of(op)?);
    let denied = facts.events.iter().find(|event| {
        event.at > received
            && matches!(event.what, What::Denied { session } if session == grant.claim.session)
    })?;
    let due = denied.at + PROMPT;
    let is_due =
        facts.events.last()?.at >= due && facts.troubles.can_hear(asked.client, denied.at, due);
    if !is_due || ended.is_some_and(|ended| ended <= due) {
        return None;
    }
    let what = format!("operation {op} was not told that its session is no more");
    Some(Violation::new(Promise::LossTold, due, what))
}
