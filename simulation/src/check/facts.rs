use std::collections::HashMap;
use std::time::Duration;

use distlock_core::Mode;

use super::Terms;
use super::troubles::Troubles;
use crate::event::{ClaimId, Event, What};
use crate::plan::step::Way;

/// A history, and what several checks ask of it.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) events: &'a [Event],
    pub(super) terms: &'a Terms,
    pub(super) troubles: Troubles,
    asked: HashMap<usize, Asked>,
    /// The names that were looked at.
    looked: HashMap<usize, usize>,
    /// By name and number.
    grants: HashMap<(usize, u64), Grant>,
    /// The number that each acquisition got.
    received: HashMap<usize, u64>,
    forgot: Vec<Forgot>,
}

/// That the store forgot a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forgot {
    name: usize,
    pub(super) at: Duration,
    /// When it was back.
    pub(super) back: Duration,
}

/// An acquisition, as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Duration,
    pub(super) client: usize,
    pub(super) name: usize,
    pub(super) mode: Mode,
    pub(super) way: Way,
    pub(super) max_hold: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) at: Duration,
    pub(super) claim: ClaimId,
}

impl<'a> Facts<'a> {
    pub(super) fn of(events: &'a [Event], terms: &'a Terms) -> Self {
        let mut facts = Self {
            events,
            terms,
            troubles: Troubles::of(events, terms),
            asked: HashMap::new(),
            looked: HashMap::new(),
            grants: HashMap::new(),
            received: HashMap::new(),
            forgot: Vec::new(),
        };
        let mut paused_until = Duration::ZERO;
        for Event { at, what } in events {
            let at = *at;
            match *what {
                What::Asked {
                    op,
                    client,
                    name,
                    mode,
                    way,
                    max_hold,
                } => {
                    let asked = Asked {
                        at,
                        client,
                        name,
                        mode,
                        way,
                        max_hold,
                    };
                    facts.asked.insert(op, asked);
                }
                What::Looked { op, name, .. } => {
                    facts.looked.insert(op, name);
                }
                What::Granted {
                    claim,
                    name,
                    number,
                } => {
                    let grant = Grant { at, claim };
                    facts.grants.entry((name, number)).or_insert(grant);
                }
                What::Received { op, number, .. } => {
                    facts.received.insert(op, number);
                }
                What::ServerPaused { until } => paused_until = until.max(paused_until),
                What::Forgot { name } => {
                    let back = at.max(paused_until);
                    facts.forgot.push(Forgot { name, at, back });
                }
                _ => {}
            }
        }
        facts
    }

    pub(super) fn asked(&self, op: usize) -> Option<&Asked> {
        self.asked.get(&op)
    }

    /// The name that the operation looked at.
    pub(super) fn looked(&self, op: usize) -> Option<usize> {
        self.looked.get(&op).copied()
    }

    pub(super) fn grant(&self, name: usize, number: u64) -> Option<&Grant> {
        self.grants.get(&(name, number))
    }

    /// The grant that the acquisition got.
    pub(super) fn grant_of(&self, op: usize) -> Option<&Grant> {
        self.grant(self.asked(op)?.name, *self.received.get(&op)?)
    }

    /// The claim and number of the hold that the acquisition got.
    pub(super) fn hold_of(&self, op: usize) -> Option<(ClaimId, u64)> {
        Some((self.grant_of(op)?.claim, *self.received.get(&op)?))
    }

    /// That the store forgot the hold which the acquisition got, at the latest by `at`: then that
    /// may end sooner there than its guard.
    pub(super) fn forgotten(&self, op: usize, at: Duration) -> Option<&Forgot> {
        let (asked, grant) = (self.asked(op)?, self.grant_of(op)?);
        self.forgot
            .iter()
            .find(|forgot| forgot.name == asked.name && grant.at <= forgot.at && forgot.at <= at)
    }

    /// Whether the claim came, again if it had come before, later than that.
    pub(super) fn joined_after(&self, claim: ClaimId, then: Duration) -> bool {
        let is_it = |what: &What| matches!(what, What::Joined { claim: it, .. } if *it == claim);
        let mut events = self.events.iter().rev();
        events.any(|event| event.at > then && is_it(&event.what))
    }

    /// The TTL of the acquisition's claim, as its client measures it.
    pub(super) fn own_ttl(&self, op: usize) -> Duration {
        self.asked(op).map_or(Duration::ZERO, |asked| {
            self.terms.clients[asked.client].own_ttl
        })
    }
}
