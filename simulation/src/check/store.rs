//! What the store granted, by its own record: exclusion, order and expiry.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use distlock_core::{ErrorKind, Mode};

use super::facts::Facts;
use super::{Promise, Violation};
use crate::event::{ClaimId, Event, What};
use crate::plan::step::Way;

/// A claim that stands in the store.
struct Standing {
    claim: ClaimId,
    mode: Mode,
    granted: bool,
    /// When the store last heard of it.
    heard: Duration,
}

/// What is known while the events go by.
struct Look<'a> {
    facts: &'a Facts<'a>,
    lines: HashMap<usize, Vec<Standing>>,
    /// When the records were made that now stand, by which what is in them expires. Where names
    /// have no records, things happen when the store is asked.
    made: HashMap<usize, Duration>,
    /// Those that are to go, and need not be renewed.
    leaving: HashSet<ClaimId>,
    /// Those whose release was done, and those whose client knows of its hold: until the store
    /// forgets something, and may do again what comes twice.
    left: HashSet<ClaimId>,
    received: HashSet<ClaimId>,
    /// The names that the store has forgotten at some time. What comes late after that stands for
    /// claims that nobody has any more.
    forgot: HashSet<usize>,
    /// Tries that have found nothing in their way so far.
    unhindered: HashSet<usize>,
    /// Acquisitions that are under way, and whether any stood in the line since they began that do
    /// not mix with them.
    conflicts: HashMap<usize, bool>,
    found: Vec<Violation>,
}

/// The store's clock counts in whole microseconds.
const RESOLUTION: Duration = Duration::from_micros(3);

/// P1, P3 and P7 as the store keeps them; that a try is only refused where somebody stands in its
/// way (P8), and that nobody comes back after its release (P10).
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut look = Look {
        facts,
        lines: HashMap::new(),
        made: HashMap::new(),
        leaving: HashSet::new(),
        left: HashSet::new(),
        received: HashSet::new(),
        forgot: HashSet::new(),
        unhindered: HashSet::new(),
        conflicts: HashMap::new(),
        found: Vec::new(),
    };
    for Event { at, what } in facts.events {
        look.at(*at, what);
    }
    look.found
}

impl Look<'_> {
    fn at(&mut self, at: Duration, what: &What) {
        match *what {
            What::Joined { claim, name, mode } => self.joined(at, claim, name, mode),
            What::Swapped { name, made } => {
                self.made.insert(name, made);
            }
            What::Refreshed { claim, name } => {
                let heard = self.reckoned(at, name);
                let line = self.lines.entry(name).or_default();
                let standing = line.iter_mut().find(|standing| standing.claim == claim);
                standing
                    .into_iter()
                    .for_each(|standing| standing.heard = heard);
            }
            What::Granted { claim, name, .. } => self.granted(at, claim, name),
            What::Leaving { claim } => {
                self.leaving.insert(claim);
            }
            What::Left { claim, .. } => {
                self.left.insert(claim);
            }
            What::Gone { claim, name } => self.gone(at, claim, name),
            What::Forgot { name } => {
                self.lines.remove(&name);
                self.forgot.insert(name);
                self.left.clear();
                self.received.clear();
            }
            What::Received { op, .. } if self.facts.forgotten(op, at).is_none() => {
                let grant = self.facts.grant_of(op);
                self.received.extend(grant.map(|grant| grant.claim));
            }
            What::Asked { op, name, way, .. } => {
                self.conflicts.insert(op, false);
                if way == Way::Try {
                    self.unhindered.insert(op);
                }
                self.hinder(name);
            }
            What::Failed {
                op,
                kind: ErrorKind::Conflict,
            } if self.conflicts.get(&op) == Some(&false) => {
                let what = format!("operation {op} was refused for a conflict with nobody");
                self.violation(Promise::Limits, at, what);
            }
            What::Done { op } => {
                self.conflicts.remove(&op);
            }
            What::Busy { op } if self.unhindered.contains(&op) => {
                let what = format!("operation {op} was refused a free lock");
                self.violation(Promise::Limits, at, what);
            }
            _ => {}
        }
    }

    fn joined(&mut self, at: Duration, claim: ClaimId, name: usize, mode: Mode) {
        if self.facts.terms.in_sessions {
            // What comes late stands until it is found.
        } else if self.left.contains(&claim) {
            let what = format!("claim {claim} came back after its release");
            self.violation(Promise::Release, at, what);
        } else if self.received.contains(&claim) {
            let what = format!("claim {claim} came back after its hold had ended");
            self.violation(Promise::Renewal, at, what);
        }
        self.expect_live(at, name);
        let heard = self.reckoned(at, name);
        let line = self.lines.entry(name).or_default();
        if let Some(other) = line.iter().find(|other| !other.mode.mixes_with(mode)) {
            let what = format!("claim {claim} stands as {mode} in a line as {}", other.mode);
            self.found
                .push(Violation::new(Promise::Exclusion, at, what));
        }
        line.push(Standing {
            claim,
            mode,
            granted: false,
            heard,
        });
        self.hinder(name);
    }

    fn granted(&mut self, at: Duration, claim: ClaimId, name: usize) {
        self.expect_live(at, name);
        let line = self.lines.entry(name).or_default();
        let Some(place) = line.iter().position(|standing| standing.claim == claim) else {
            let what = format!("claim {claim} was granted without standing in line");
            return self.violation(Promise::Exclusion, at, what);
        };
        let mode = line[place].mode;
        line[place].granted = true;
        let overtakes = line[..place].iter().any(|before| !before.granted);
        let others = line
            .iter()
            .filter(|other| other.granted && other.claim != claim);
        let may_hold = may_hold_beside(mode, others.map(|other| other.mode));
        if overtakes {
            let what = format!("claim {claim} was granted before one that came earlier");
            self.violation(Promise::Waiting, at, what);
        }
        if !may_hold {
            let what = format!("claim {claim} was granted {mode} beside others");
            self.violation(Promise::Exclusion, at, what);
        }
    }

    fn gone(&mut self, at: Duration, claim: ClaimId, name: usize) {
        let line = self.lines.entry(name).or_default();
        let Some(place) = line.iter().position(|standing| standing.claim == claim) else {
            return;
        };
        let standing = line.remove(place);
        if self.left.contains(&claim) || self.facts.terms.in_sessions {
            return;
        }
        let (heard, expires) = (standing.heard, standing.heard + self.store_ttl(claim));
        if self.reckoned(at, name) + RESOLUTION < expires {
            let what = format!("claim {claim} expired before its TTL had passed");
            return self.violation(Promise::Ttl, at, what);
        }
        let troubles = &self.facts.troubles;
        let is_wanted = !self.leaving.contains(&claim) && !self.forgot.contains(&name);
        if is_wanted && troubles.was_well(claim.client, heard, expires) {
            let what = format!("claim {claim} expired with nothing to keep it from being renewed");
            self.violation(Promise::Renewal, at, what);
        }
    }

    /// Whoever has not been heard of for a TTL is gone when something happens to the name.
    fn expect_live(&mut self, at: Duration, name: usize) {
        if self.facts.terms.in_sessions {
            return;
        }
        let line = self.lines.get(&name).map_or(&[][..], Vec::as_slice);
        let now = self.reckoned(at, name);
        let dead = line
            .iter()
            .find(|standing| standing.heard + self.store_ttl(standing.claim) + RESOLUTION < now);
        if let Some(Standing { claim, .. }) = dead {
            let what = format!("claim {claim} stands, not heard of for more than a TTL");
            self.violation(Promise::Ttl, at, what);
        }
    }

    /// The time by which what happens to the name now expires, or does not.
    fn reckoned(&self, at: Duration, name: usize) -> Duration {
        self.made.get(&name).copied().unwrap_or(at)
    }

    /// Notes which tries for the name have somebody in their way, and which acquisitions somebody
    /// whom they do not mix with.
    fn hinder(&mut self, name: usize) {
        let line = self.lines.get(&name).map_or(&[][..], Vec::as_slice);
        for (op, conflict) in &mut self.conflicts {
            let asked = self.facts.asked(*op).filter(|asked| asked.name == name);
            *conflict |= asked.is_some_and(|asked| {
                let mut modes = line.iter().map(|standing| standing.mode);
                modes.any(|mode| !mode.mixes_with(asked.mode))
            });
        }
        self.unhindered.retain(|op| {
            let asked = self.facts.asked(*op).filter(|asked| asked.name == name);
            asked.is_none_or(|asked| {
                line.iter().all(|standing| standing.granted)
                    && may_hold_beside(asked.mode, line.iter().map(|standing| standing.mode))
            })
        });
    }

    fn store_ttl(&self, claim: ClaimId) -> Duration {
        self.facts.terms.clients[claim.client].store_ttl
    }

    fn violation(&mut self, promise: Promise, at: Duration, what: String) {
        self.found.push(Violation::new(promise, at, what));
    }
}

/// Whether a name can be held in this mode while it is held in those.
pub(super) fn may_hold_beside(mode: Mode, mut others: impl Iterator<Item = Mode>) -> bool {
    match mode {
        Mode::Exclusive => others.next().is_none(),
        Mode::Permit { limit } => others.count() < limit as usize,
        _ => others.all(|other| other == Mode::Shared),
    }
}
