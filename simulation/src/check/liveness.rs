//! That everybody is served, in time, and nothing is left behind.

use std::collections::HashMap;
use std::time::Duration;

use distlock_core::ErrorKind;

use super::facts::Facts;
use super::{Promise, Violation};
use crate::event::{ClaimId, Event, What};
use crate::plan::step::Way;

/// An answer may come this much after its time limit: what timers are off by.
const TIMER: Duration = Duration::from_millis(2);

/// P7, P8, P9 and P10: a grant reaches its waiter or is given back, limits are kept, everybody is
/// served once nothing goes wrong any more, and in the end the store is empty.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = grants(facts);
    for Event { at, what } in facts.events {
        let (promise, what) = match *what {
            What::Busy { op } | What::Failed { op, .. } | What::Received { op, .. } => {
                match overdue(facts, *at, op, what) {
                    Some(what) => (Promise::Limits, what),
                    None => continue,
                }
            }
            What::Starved { op } => (Promise::Waiting, format!("operation {op} was not served")),
            What::Hung { op } => (Promise::Limits, format!("operation {op} does not end")),
            What::Unsettled { client } => {
                (Promise::Release, format!("client {client} does not settle"))
            }
            What::Residue { name, entries } => {
                let what = format!("{entries} entries of name {name} are left");
                (Promise::NoResidue, what)
            }
            _ => continue,
        };
        found.push(Violation::new(promise, *at, what));
    }
    found
}

/// What is wrong with an answer to an acquisition that has a limit of time.
fn overdue(facts: &Facts<'_>, at: Duration, op: usize, answer: &What) -> Option<String> {
    let asked = facts.asked(op)?;
    let took = at.saturating_sub(asked.at);
    let timed_out = matches!(
        answer,
        What::Failed {
            kind: ErrorKind::TimedOut,
            ..
        }
    );
    let is_wrong = match asked.way {
        Way::Within(limit) => took > limit + TIMER || timed_out && took < limit,
        _ => timed_out,
    };
    is_wrong.then(|| format!("operation {op} was answered after {took:?}"))
}

/// Each grant is received or given back: soon, if nothing keeps its client from it; within a TTL,
/// once all has been well for long.
fn grants(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut open: HashMap<(usize, u64), (ClaimId, Duration)> = HashMap::new();
    let mut judge = |claim: ClaimId, granted: Duration, closed: Duration| {
        let took = closed.saturating_sub(granted);
        let ttl = facts.terms.clients[claim.client].own_ttl;
        let ttl = if facts.terms.in_sessions {
            2 * ttl
        } else {
            ttl
        };
        let soon = facts.terms.soon;
        // The engine, after trouble, may be waiting to ask again.
        let since = granted.saturating_sub(ttl);
        let is_soon_due = facts
            .troubles
            .was_well_told(claim.client, since, granted + soon);
        let is_late = took > soon && is_soon_due
            || took > facts.terms.longest_ttl && granted >= facts.terms.calm_from;
        if is_late {
            let what = format!("claim {claim} was granted, and nobody took it for {took:?}");
            found.push(Violation::new(Promise::Waiting, granted, what));
        }
    };
    for Event { at, what } in facts.events {
        match *what {
            What::Granted {
                claim,
                name,
                number,
            } => {
                open.insert((name, number), (claim, *at));
            }
            What::Received { op, number, .. } => {
                let name = facts.asked(op).map_or(0, |asked| asked.name);
                if let Some((claim, granted)) = open.remove(&(name, number)) {
                    judge(claim, granted, *at);
                }
            }
            What::Gone { claim, name } => open.retain(|(of, _), (standing, granted)| {
                let is_this = *of == name && *standing == claim;
                if is_this {
                    judge(claim, *granted, *at);
                }
                !is_this
            }),
            _ => {}
        }
    }
    let end = facts.events.last().map_or(Duration::ZERO, |event| event.at);
    for (claim, granted) in open.into_values() {
        judge(claim, granted, end);
    }
    found
}
