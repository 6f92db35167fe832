//! The order of fencing tokens, and of those who waited in one client.

use std::collections::HashMap;

use distlock_core::Mode;

use super::Violation;
use crate::event::{Event, What};

/// An acquisition, as it was asked for.
struct Asked {
    client: usize,
    name: usize,
    mode: Mode,
    waits: bool,
    /// The greatest number that anybody had received of the name by then.
    greatest_before: u64,
}

/// P2: tokens are unique, those of the store grow with its grants, and no acquisition that began
/// after another's guard was received has a smaller one. P7: those who wait for a name in one
/// client are served in the order in which they asked.
pub(super) fn check(events: &[Event]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut asked: HashMap<usize, Asked> = HashMap::new();
    let mut granted: HashMap<usize, u64> = HashMap::new();
    let mut received: HashMap<usize, Vec<u64>> = HashMap::new();
    // The latest of those who waited and were served.
    let mut served: HashMap<(usize, usize), usize> = HashMap::new();
    for Event { at, what } in events {
        match *what {
            What::Granted {
                claim,
                name,
                number,
            } => {
                let last = granted.entry(name).or_default();
                if number <= *last {
                    let what = format!("claim {claim} was granted as {number} after {last}");
                    found.push(Violation::new("P2", *at, what));
                }
                *last = number;
            }
            What::Asked {
                op,
                client,
                name,
                mode,
                waits,
            } => {
                let greatest = received.get(&name).and_then(|all| all.iter().max());
                let asked_for = Asked {
                    client,
                    name,
                    mode,
                    waits,
                    greatest_before: greatest.copied().unwrap_or(0),
                };
                asked.insert(op, asked_for);
            }
            What::Received { op, number, .. } => {
                let Some(of) = asked.get(&op) else {
                    continue;
                };
                let all = received.entry(of.name).or_default();
                if all.contains(&number) {
                    let what = format!("operation {op} got the token {number} of another");
                    found.push(Violation::new("P2", *at, what));
                }
                all.push(number);
                if number < of.greatest_before {
                    let what = format!(
                        "operation {op} got {number}, and {} was received before it began",
                        of.greatest_before
                    );
                    found.push(Violation::new("P2", *at, what));
                }
                if of.waits && of.mode == Mode::Exclusive {
                    let latest = served.entry((of.client, of.name)).or_insert(op);
                    if *latest > op {
                        let what = format!("operation {latest} overtook {op} in one client");
                        found.push(Violation::new("P7", *at, what));
                    }
                    *latest = op.max(*latest);
                }
            }
            _ => {}
        }
    }
    found
}
