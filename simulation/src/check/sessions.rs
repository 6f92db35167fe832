//! What is otherwise where claims stand under sessions.
//!
//! * Sessions expire, not claims; a restart of the store makes that later.
//! * The store does whatever comes, however late and however often. So an entry may come back after
//!   its release. It stands until the first heartbeat of its session that nothing keeps from being
//!   answered, or until the session ends.
//! * A release that comes twice finds nothing the second time, and may say so first. One that does
//!   not come at all is over when its session cannot live any more.
//! * An entry that is lost by the store, and put there again by what comes late, is not missed.
//! * Before a waiter asks again it may have to keep its session alive.

use std::collections::HashMap;
use std::time::Duration;

use super::facts::Facts;
use super::{Promise, Violation};
use crate::event::{ClaimId, Event, What};

/// The store's clock counts in whole microseconds.
const RESOLUTION: Duration = Duration::from_micros(3);

/// P3, of sessions; P6, of those that were given up; P9, of entries that nobody answers for.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut expires: HashMap<u64, Duration> = HashMap::new();
    let mut client_of: HashMap<u64, usize> = HashMap::new();
    for Event { at, what } in facts.events {
        let mut violation = |what| found.push(Violation::new(Promise::Ttl, *at, what));
        match *what {
            What::Opened { session, client } => {
                client_of.insert(session, client);
                expires.insert(session, *at + facts.terms.clients[client].store_ttl);
            }
            What::KeptAlive { session } => {
                if expires
                    .get(&session)
                    .is_some_and(|due| *due + RESOLUTION < *at)
                {
                    violation(format!("session {session} lives past its TTL"));
                }
                let ttl = facts.terms.clients[client_of[&session]].store_ttl;
                expires.insert(session, *at + ttl);
            }
            What::Ended { session, asked } => {
                let due = expires.remove(&session).unwrap_or_default();
                if !asked && *at + RESOLUTION < due {
                    violation(format!("session {session} ended before its TTL had passed"));
                }
            }
            What::Granted { .. } => {
                let mut dead = expires.iter().filter(|(_, due)| **due + RESOLUTION < *at);
                if let Some((session, _)) = dead.next() {
                    violation(format!("session {session} lives past its TTL"));
                }
            }
            _ => {}
        }
    }
    found.extend(revived(facts));
    found.extend(strangers(facts));
    found
}

/// Until when sessions are valid by what their clients know of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    ttls: HashMap<u64, Duration>,
    until: HashMap<u64, Duration>,
}

impl Known {
    pub(super) fn note(&mut self, facts: &Facts<'_>, Event { at, what }: &Event) {
        match *what {
            What::Opened { session, client } => {
                let ttl = facts.terms.clients[client].own_ttl;
                self.ttls.insert(session, ttl);
            }
            What::Confirmed { session, as_of } => {
                let anew = as_of + self.ttls.get(&session).copied().unwrap_or_default();
                let until = self.until.entry(session).or_insert(anew);
                // Once it was given up, nothing revives it.
                if *until > *at {
                    *until = anew.max(*until);
                }
            }
            _ => {}
        }
    }

    /// Whether the session has been over for so long.
    pub(super) fn is_over(&self, session: u64, since: Duration, at: Duration) -> bool {
        let until = self.until.get(&session);
        until.is_some_and(|until| *until + since <= at)
    }
}

/// The heartbeats of sessions that had been given up, for they were not confirmed for their TTL.
fn revived(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut known = Known::default();
    for event in facts.events {
        known.note(facts, event);
        if let What::Beat { session } = event.what
            && known.is_over(session, Duration::ZERO, event.at)
        {
            let what = format!("session {session} is kept alive after it was given up");
            found.push(Violation::new(Promise::Renewal, event.at, what));
        }
    }
    found
}

/// The entries that came after their release and outlast a heartbeat that should have found them.
fn strangers(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let soon = facts.terms.soon;
    let mut left: HashMap<ClaimId, Duration> = HashMap::new();
    // The entries that are back, and until when they may stand.
    let mut back: HashMap<ClaimId, Option<Duration>> = HashMap::new();
    for Event { at, what } in facts.events {
        match *what {
            What::Left { claim, .. } => {
                left.insert(claim, *at);
            }
            What::Joined { claim, .. } if left.contains_key(&claim) => {
                back.insert(claim, None);
            }
            What::Gone { claim, .. } => {
                if let Some(Some(due)) = back.remove(&claim)
                    && *at > due
                {
                    let what = format!("claim {claim} came after its release and stood on");
                    found.push(Violation::new(Promise::NoResidue, *at, what));
                }
            }
            What::KeptAlive { session } => {
                for (claim, due) in &mut back {
                    let since = at.saturating_sub(facts.terms.clients[claim.client].own_ttl);
                    let is_found = claim.session == session
                        && facts.troubles.was_well(claim.client, since, *at + soon);
                    if is_found && due.is_none() {
                        *due = Some(*at + soon);
                    }
                }
            }
            _ => {}
        }
    }
    found
}
