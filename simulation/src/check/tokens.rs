//! The order of fencing tokens, and of those who waited in one client.

use std::collections::{HashMap, HashSet};

use distlock_core::Mode;

use super::facts::Facts;
use super::{Promise, Violation};
use crate::event::{Event, What};
use crate::plan::step::Way;

/// P2: tokens are unique, those of the store grow with its grants, and no acquisition that began
/// after another's guard was received has a smaller one. P7: those who wait for a name in one
/// client are served in the order in which they asked.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut granted: HashMap<usize, u64> = HashMap::new();
    let mut received: HashSet<(usize, u64)> = HashSet::new();
    // The greatest number that anybody had received of a name by now, and when an operation began.
    let mut greatest: HashMap<usize, u64> = HashMap::new();
    let mut greatest_before: HashMap<usize, u64> = HashMap::new();
    // When those who waited and were served had asked, at the latest.
    let mut served: HashMap<(usize, usize), (usize, usize)> = HashMap::new();
    let mut asked_at: HashMap<usize, usize> = HashMap::new();
    for (index, Event { at, what }) in facts.events.iter().enumerate() {
        let mut violation = |promise, what| found.push(Violation::new(promise, *at, what));
        match *what {
            What::Granted {
                claim,
                name,
                number,
            } => {
                let last = granted.entry(name).or_default();
                if number <= *last {
                    let what = format!("claim {claim} was granted as {number} after {last}");
                    violation(Promise::Fencing, what);
                }
                *last = number;
            }
            What::Asked { op, name, .. } => {
                asked_at.insert(op, index);
                greatest_before.insert(op, greatest.get(&name).copied().unwrap_or(0));
            }
            What::Received { op, number, .. } => {
                let Some(asked) = facts.asked(op) else {
                    continue;
                };
                if !received.insert((asked.name, number)) {
                    let what = format!("operation {op} got the token {number} of another");
                    violation(Promise::Fencing, what);
                }
                let before = greatest_before.get(&op).copied().unwrap_or(0);
                if number < before {
                    let what = format!(
                        "operation {op} got {number}, and {before} was there before it began"
                    );
                    violation(Promise::Fencing, what);
                }
                let greatest = greatest.entry(asked.name).or_default();
                *greatest = number.max(*greatest);
                if asked.way != Way::Try && asked.mode == Mode::Exclusive {
                    let this = (asked_at.get(&op).copied().unwrap_or(0), op);
                    let latest = served.entry((asked.client, asked.name)).or_insert(this);
                    if *latest > this {
                        let what = format!("operation {} overtook {op} in one client", latest.1);
                        violation(Promise::Waiting, what);
                    }
                    *latest = this.max(*latest);
                }
            }
            _ => {}
        }
    }
    found
}
