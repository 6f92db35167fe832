//! That what is said of a release is true.

use std::collections::HashMap;
use std::time::Duration;

use distlock_core::ErrorKind;

use super::facts::Facts;
use super::{Promise, Violation};
use crate::event::{ClaimId, Event, What};

/// P10: a release that was confirmed was done by the store, and found the hold if the user is told
/// so; and a hold that was given up while the store had it is not called lost.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    // What the first release of each claim found, and when and how each guard was given up.
    let mut left: HashMap<ClaimId, bool> = HashMap::new();
    let mut given_up: HashMap<usize, (Duration, bool)> = HashMap::new();
    for Event { at, what } in facts.events {
        match *what {
            What::Left { claim, held, .. } => {
                left.entry(claim).or_insert(held);
            }
            What::GivenUp { op, valid } => {
                given_up.insert(op, (*at, valid));
            }
            What::Released { op, result } => {
                let (Some(asked), Some(grant), Some((since, was_valid))) =
                    (facts.asked(op), facts.grant_of(op), given_up.get(&op))
                else {
                    continue;
                };
                // After a failure the engine takes it that the first request did its work. Where
                // nothing was refused, a request fails when a sixth of the TTL is over.
                let at_once = *at < *since + facts.own_ttl(op) / 6
                    && !facts.troubles.was_refused(asked.client, *since, *at);
                let fault = match (result, left.get(&grant.claim)) {
                    (Ok(()), None) => "was confirmed, though the store has not done it",
                    (Ok(()), Some(false)) if at_once => "was confirmed, though nothing was held",
                    (Err(ErrorKind::Lost), Some(true)) if *was_valid => {
                        "found nothing, though it was held"
                    }
                    _ => continue,
                };
                let what = format!("the release of operation {op} {fault}");
                found.push(Violation::new(Promise::Release, *at, what));
            }
            _ => {}
        }
    }
    found
}
