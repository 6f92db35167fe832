//! That everybody is served, and nothing is left behind.

use std::collections::HashMap;
use std::time::Duration;

use super::Violation;
use crate::event::{Event, What};

/// P3, P7, P9 and P10 once nothing goes wrong any more: waiters are served, a grant reaches its
/// waiter or is given back, and in the end the store is empty.
pub(super) fn check(events: &[Event], calm_from: Duration, ttl: Duration) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut names: HashMap<usize, usize> = HashMap::new();
    // Grants that nobody has received nor given back.
    let mut open: HashMap<(usize, u64), (usize, Duration)> = HashMap::new();
    let end = events.last().map_or(Duration::ZERO, |event| event.at);
    let mut judge = |claim: usize, granted: Duration, closed: Duration| {
        if granted >= calm_from && closed - granted > ttl {
            let what = format!("claim {claim} was granted, and nobody took it for a TTL");
            found.push(Violation::new("P7", granted, what));
        }
    };
    for Event { at, what } in events {
        match *what {
            What::Asked { op, name, .. } => {
                names.insert(op, name);
            }
            What::Granted {
                claim,
                name,
                number,
            } => {
                open.insert((name, number), (claim, *at));
            }
            What::Received { op, number, .. } => {
                let name = names.get(&op).copied().unwrap_or_default();
                if let Some((claim, granted)) = open.remove(&(name, number)) {
                    judge(claim, granted, *at);
                }
            }
            What::Gone { claim, name } => {
                open.retain(|(of, _), (standing, granted)| {
                    let is_this = *of == name && *standing == claim;
                    if is_this {
                        judge(claim, *granted, *at);
                    }
                    !is_this
                });
            }
            _ => {}
        }
    }
    for (claim, granted) in open.into_values() {
        judge(claim, granted, end);
    }
    for Event { at, what } in events {
        let (promise, what) = match *what {
            What::Starved { op } => ("P7", format!("operation {op} was not served")),
            What::Unsettled { client } => ("P10", format!("client {client} does not settle")),
            What::Residue { name, entries } => {
                ("P9", format!("{entries} entries of name {name} are left"))
            }
            _ => continue,
        };
        found.push(Violation::new(promise, *at, what));
    }
    found
}
