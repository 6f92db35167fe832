//! What is left behind.

use super::super::event::{Event, What};
use super::facts::Facts;
use super::{Promise, Verdict};

/// P9 and P10: after everybody has let go of everything, nobody is seen to hold or to wait.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Verdict> {
    let left = |(event, Event { at, what }): (usize, &Event)| match what {
        What::Left {
            name,
            holders,
            waiters,
        } if holders + waiters > 0 => {
            let what = format!("{holders} still hold `{name}` and {waiters} wait for it");
            Some(Verdict::new(Promise::NothingLeft, *at, [event], what))
        }
        _ => None,
    };
    facts.events.iter().enumerate().filter_map(left).collect()
}
