//! What the users' guards claimed.

use std::time::Duration;

use super::facts::Facts;
use super::store::may_hold_beside;
use super::{Promise, Violation};
use crate::event::{Event, What};

/// P4: no two guards that exclude each other are valid at once, none is valid longer than the store
/// holds it or its `max_hold` allows, and none is handed out lost. P15: each stands for a grant of
/// its client, and what is shown of holders is so.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for Event { at, what } in facts.events {
        let mut violation = |promise, what| found.push(Violation::new(promise, *at, what));
        match what {
            What::Received {
                op,
                number,
                valid_for,
                beside,
            } => {
                let Some(asked) = facts.asked(*op) else {
                    continue;
                };
                let is_its_own = facts
                    .grant(asked.name, *number)
                    .is_some_and(|grant| grant.at <= *at && grant.claim.client == asked.client);
                if !is_its_own {
                    let what = format!("operation {op} got {number}, which it was not granted");
                    violation(Promise::FailClosed, what);
                }
                let others = beside
                    .iter()
                    .filter(|other| facts.forgotten(**other, *at).is_none())
                    .filter_map(|other| Some(facts.asked(*other)?.mode));
                // The safe intervals of two guards overlap if and only if the one that was received
                // first is still valid when the other is received.
                if facts.forgotten(*op, *at).is_none() && !may_hold_beside(asked.mode, others) {
                    let what = format!("operations {op} and {beside:?} hold at once");
                    violation(Promise::Overlap, what);
                }
                let longest = asked.max_hold.unwrap_or(Duration::MAX);
                // The grant and the word that it is gone may be heard in one moment.
                let may_be_gone = facts.forgotten(*op, *at).is_some();
                if valid_for.is_some_and(|left| left.is_zero() && !may_be_gone || left > longest) {
                    let what = format!("operation {op} got a guard valid for {valid_for:?}");
                    violation(Promise::Validity, what);
                }
            }
            What::Seen { op, holders } => {
                let granted = |number: &u64| {
                    let name = facts.looked(*op)?;
                    facts.grant(name, *number).filter(|grant| grant.at <= *at)
                };
                if let Some(number) = holders.iter().find(|number| granted(number).is_none()) {
                    let what =
                        format!("operation {op} saw {number} held, which nobody was granted");
                    violation(Promise::FailClosed, what);
                }
            }
            What::Unbacked { op, by } if facts.forgotten(*op, *at).is_none() => {
                let what = format!("the guard of operation {op} outlives its hold by {by:?}");
                violation(Promise::Validity, what);
            }
            What::Ensured {
                op,
                at_least,
                valid_for,
            } if valid_for < at_least => {
                let what = format!("operation {op} was ensured {at_least:?}, not {valid_for:?}");
                violation(Promise::Validity, what);
            }
            _ => {}
        }
    }
    found
}
