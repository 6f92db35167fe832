//! What the store granted, by its own record: exclusion and order.

use std::collections::{HashMap, HashSet};

use distlock_core::Mode;

use super::Violation;
use crate::event::{Event, What};
use crate::message::Verb;

/// A claim that stands in the store.
struct Standing {
    claim: usize,
    mode: Mode,
    granted: bool,
}

/// P1 and P7 as the store keeps them; that a try is only refused where somebody stands (P8), and
/// that nobody comes back after its release (P10).
pub(super) fn check(events: &[Event]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut lines: HashMap<usize, Vec<Standing>> = HashMap::new();
    // The last event at which the line was not empty.
    let mut last_in_use: HashMap<usize, usize> = HashMap::new();
    let mut asked: HashMap<usize, (usize, usize)> = HashMap::new();
    // The requests to leave, and the claims whose request was done.
    let mut leaving: HashSet<(usize, u32)> = HashSet::new();
    let mut left: HashSet<usize> = HashSet::new();
    for (index, Event { at, what }) in events.iter().enumerate() {
        match *what {
            What::Joined {
                claim, name, mode, ..
            } => {
                if left.contains(&claim) {
                    let what = format!("claim {claim} came back after its release");
                    found.push(Violation::new("P10", *at, what));
                }
                lines.entry(name).or_default().push(Standing {
                    claim,
                    mode,
                    granted: false,
                });
            }
            What::Granted { claim, name, .. } => {
                let line = lines.entry(name).or_default();
                let Some(place) = line.iter().position(|standing| standing.claim == claim) else {
                    let what = format!("claim {claim} was granted without standing in line");
                    found.push(Violation::new("P1", *at, what));
                    continue;
                };
                let mode = line[place].mode;
                line[place].granted = true;
                if line[..place].iter().any(|before| !before.granted) {
                    let what = format!("claim {claim} was granted before one that came earlier");
                    found.push(Violation::new("P7", *at, what));
                }
                let others = line
                    .iter()
                    .filter(|other| other.granted && other.claim != claim);
                if !may_hold_beside(mode, others.map(|other| other.mode)) {
                    let what = format!("claim {claim} was granted {mode} beside others");
                    found.push(Violation::new("P1", *at, what));
                }
            }
            What::Gone { claim, name } => {
                last_in_use.insert(name, index);
                lines
                    .entry(name)
                    .or_default()
                    .retain(|standing| standing.claim != claim);
            }
            What::Sent {
                claim,
                sequence,
                verb: Verb::Leave,
                ..
            } => {
                leaving.insert((claim, sequence));
            }
            What::Replied {
                claim, sequence, ..
            } if leaving.contains(&(claim, sequence)) => {
                left.insert(claim);
            }
            What::Asked { op, name, .. } => {
                asked.insert(op, (index, name));
            }
            What::Busy { op } => {
                let Some((since, name)) = asked.get(&op) else {
                    continue;
                };
                let stands = lines.get(name).is_some_and(|line| !line.is_empty());
                let stood = last_in_use.get(name).is_some_and(|last| last > since);
                if !stands && !stood {
                    let what = format!("operation {op} was refused a free lock");
                    found.push(Violation::new("P8", *at, what));
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether a name can be held in this mode while it is held in those.
pub(super) fn may_hold_beside(mode: Mode, mut others: impl Iterator<Item = Mode>) -> bool {
    match mode {
        Mode::Exclusive => others.next().is_none(),
        Mode::Permit { limit } => others.count() < limit as usize,
        _ => others.all(|other| other == Mode::Shared),
    }
}
