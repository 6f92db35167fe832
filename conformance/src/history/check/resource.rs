//! What the resource accepted, and by that, what fencing is worth.

use std::collections::HashMap;

use super::super::event::{Event, What};
use super::facts::Facts;
use super::{Promise, Verdict};

/// The resource accepts a token if and only if it has accepted none that is greater; and who shows
/// one has been granted it.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Verdict> {
    let mut greatest: HashMap<&str, (u64, usize)> = HashMap::new();
    let mut found = Vec::new();
    for (event, Event { at, what }) in facts.events.iter().enumerate() {
        let What::Wrote {
            op,
            name,
            token,
            accepted,
        } = what
        else {
            continue;
        };
        let (before, shown) = greatest.get(&**name).copied().unwrap_or((0, event));
        if *accepted != (*token >= before) {
            let done = if *accepted { "accepted" } else { "refused" };
            let what = format!("`{name}` {done} the token {token} after it had accepted {before}");
            found.push(Verdict::new(Promise::Resource, *at, [shown, event], what));
        }
        let granted = facts.op(*op).and_then(|op| op.granted());
        if let Some((granted, its)) = granted.filter(|(_, its)| its != token) {
            let what = format!("operation {op} was granted {its} and showed {token}");
            let events = [granted.event, event];
            found.push(Verdict::new(Promise::Resource, *at, events, what));
        }
        if *accepted && *token >= before {
            greatest.insert(name, (*token, event));
        }
    }
    found
}
