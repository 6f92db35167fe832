//! What the users' guards claimed: validity, and the notice of its end.

use std::collections::HashMap;
use std::time::Duration;

use distlock_core::Mode;

use super::Violation;
use super::store::may_hold_beside;
use crate::event::{Event, What};

/// P4 and P5: no two guards that exclude each other are valid at once, none is valid longer than
/// the store holds it, none is handed out lost, and losses are told.
pub(super) fn check(events: &[Event]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut modes: HashMap<usize, Mode> = HashMap::new();
    for Event { at, what } in events {
        let violation = |promise, what| Violation::new(promise, *at, what);
        match what {
            What::Asked { op, mode, .. } => {
                modes.insert(*op, *mode);
            }
            What::Received {
                op,
                beside,
                valid_for,
                ..
            } => {
                let others = beside.iter().filter_map(|other| modes.get(other).copied());
                // The safe intervals of two guards overlap if and only if the one that was received
                // first is still valid when the other is received.
                if modes
                    .get(op)
                    .is_some_and(|mode| !may_hold_beside(*mode, others))
                {
                    let what = format!("operations {op} and {beside:?} hold at once");
                    found.push(violation("P4 (overlap)", what));
                }
                if *valid_for == Duration::ZERO {
                    let what = format!("operation {op} got a guard that is not valid any more");
                    found.push(violation("P4", what));
                }
            }
            What::Unbacked { op } => {
                let what = format!("the guard of operation {op} outlives its hold in the store");
                found.push(violation("P4", what));
            }
            What::LossUntold { op } => {
                let what = format!("the guard of operation {op} is lost and its user was not told");
                found.push(violation("P5", what));
            }
            _ => {}
        }
    }
    found
}
