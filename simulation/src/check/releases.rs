//! That what is said of a release is true.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use distlock_core::ErrorKind;

use super::facts::{Facts, Grant};
use super::sessions::Known;
use super::{Promise, Violation};
use crate::event::{ClaimId, Event, What};

/// P10: a release that was confirmed was done by the store, and found the hold if the user is told
/// so; a hold that was given up while the store had it is not called lost; each is freed soon, also
/// if a request is lost; and none stands on that a client has waited for.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = not_freed(facts);
    found.extend(not_settled(facts));
    // What the first release of each claim found, and when and how each guard was given up.
    let mut left: HashMap<ClaimId, bool> = HashMap::new();
    let mut given_up: HashMap<usize, (Duration, bool)> = HashMap::new();
    let mut gone: HashSet<ClaimId> = HashSet::new();
    let mut known = Known::default();
    for event in facts.events {
        known.note(facts, event);
        let Event { at, what } = event;
        match *what {
            What::Left { claim, held, .. } => {
                left.entry(claim).or_insert(held);
            }
            // With its session, which the release may have waited for.
            What::Gone { claim, .. } if facts.terms.in_sessions => {
                gone.insert(claim);
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
                // After a failure it is taken that the first request did its work. Where nothing was
                // refused, a request fails when a sixth of the TTL is over; a swap that waits for
                // another is given up after half of that.
                let at_once = *at < *since + facts.own_ttl(op) / 12
                    && !facts.troubles.was_refused(asked.client, *since, *at);
                let ttl = facts.own_ttl(op);
                let is_twofold = facts.terms.in_sessions
                    && !facts
                        .troubles
                        .was_well(asked.client, at.saturating_sub(ttl), *at);
                let Grant { claim, .. } = *grant;
                let is_over =
                    gone.contains(&claim) || known.is_over(claim.session, facts.terms.slack, *at);
                let fault = match (result, left.get(&grant.claim)) {
                    (Ok(()), None) if !is_over => "was confirmed, though the store has not done it",
                    (Ok(()), Some(false)) if at_once => "was confirmed, though nothing was held",
                    (Err(ErrorKind::Lost), Some(true)) if *was_valid && !is_twofold => {
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

/// The guards that were given up soon after the store had heard of them, and whose holds stand on
/// though their client could free them: a lost request is waited for, and asked again after a
/// pause, each for a sixth of the TTL at most.
fn not_freed(facts: &Facts<'_>) -> Vec<Violation> {
    let mut given_up: Vec<(usize, ClaimId, Duration)> = Vec::new();
    let mut heard: HashMap<ClaimId, Duration> = HashMap::new();
    let mut freed: HashMap<ClaimId, Duration> = HashMap::new();
    for Event { at, what } in facts.events {
        match *what {
            What::Joined { claim, .. } | What::Refreshed { claim, .. } => {
                heard.insert(claim, *at);
            }
            What::GivenUp { op, valid: true } => {
                let grant = facts.grant_of(op).filter(|grant| {
                    let heard = heard.get(&grant.claim);
                    heard.is_some_and(|heard| *heard + facts.own_ttl(op) / 3 >= *at)
                });
                given_up.extend(grant.map(|grant| (op, grant.claim, *at)));
            }
            What::Left { claim, .. } | What::Gone { claim, .. } => {
                freed.entry(claim).or_insert(*at);
            }
            _ => {}
        }
    }
    let end = facts.events.last().map_or(Duration::ZERO, |event| event.at);
    let stands_on = |(op, claim, since): (usize, ClaimId, Duration)| {
        let due = since + facts.own_ttl(op) / 2;
        let after = since + Duration::from_millis(1);
        let is_due = due <= end && facts.troubles.was_well(claim.client, after, due);
        let is_freed = freed.get(&claim).is_some_and(|at| *at <= due);
        let what = format!("the guard of operation {op} was given up, and its hold stands on");
        (is_due && !is_freed).then(|| Violation::new(Promise::Release, due, what))
    };
    given_up.into_iter().filter_map(stands_on).collect()
}

/// The holds that stand on though their client has waited until they were settled. What comes late
/// may make a claim anew, so this is of clients for which nothing did.
fn not_settled(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut given_up: Vec<(ClaimId, Duration)> = Vec::new();
    let mut began: HashMap<usize, (usize, Duration)> = HashMap::new();
    // When the store last heard of each claim, or of its session, which then stands for a TTL.
    let mut heard: HashMap<ClaimId, Duration> = HashMap::new();
    let mut kept_alive: HashMap<u64, Duration> = HashMap::new();
    let gone = facts.events.iter().filter_map(|event| match event.what {
        What::Gone { claim, .. } => Some((claim, event.at)),
        _ => None,
    });
    let gone: HashMap<ClaimId, Duration> = gone.collect();
    for Event { at, what } in facts.events {
        match *what {
            What::Joined { claim, .. } | What::Refreshed { claim, .. } => {
                heard.insert(claim, *at);
            }
            What::KeptAlive { session } => {
                kept_alive.insert(session, *at);
            }
            What::GivenUp { op, .. } => {
                given_up.extend(facts.grant_of(op).map(|grant| (grant.claim, *at)));
            }
            What::Settling { op, client } => {
                began.insert(op, (client, *at));
            }
            What::Done { op } => {
                let Some((client, since)) = began.remove(&op) else {
                    continue;
                };
                if facts.troubles.had_late(client, *at) {
                    continue;
                }
                // What is taken for expired may stand a little longer by the store's clock.
                let until = *at + facts.terms.longest_ttl / 50;
                let stands_on = |&&(claim, at): &&(ClaimId, Duration)| {
                    let heard = heard.get(&claim).max(kept_alive.get(&claim.session));
                    let ttl = facts.terms.clients[client].store_ttl;
                    claim.client == client
                        && at < since
                        && heard.is_some_and(|heard| *heard + ttl > until)
                        && gone.get(&claim).is_none_or(|gone| *gone > until)
                };
                if let Some((claim, _)) = given_up.iter().find(stands_on) {
                    let what = format!("claim {claim} is said to be settled, and stands on");
                    found.push(Violation::new(Promise::Release, *at, what));
                }
            }
            _ => {}
        }
    }
    found
}
