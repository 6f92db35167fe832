//! The order of those who wait.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use distlock_core::Mode;

use super::super::event::Wish;
use super::facts::Facts;
use super::op::Op;
use super::{Promise, Verdict};

/// P7, where the store is fair: nobody is granted a name before one who was certainly in line when
/// they began to ask. In line certainly is who waits, has no neighbour in its own client to wait
/// behind, and has had nothing go wrong since it asked, and time enough to get there.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Verdict> {
    if !facts.terms.fair {
        return Vec::new();
    }
    facts
        .names()
        .flat_map(|ops| check_name(&ops, facts))
        .collect()
}

fn check_name<'a>(ops: &[&'a Op<'a>], facts: &Facts<'_>) -> Vec<Verdict> {
    let in_line = certainly_in_line(ops, facts);
    let granted = |op: &&Op<'_>| op.granted().is_some();
    let mut grants: Vec<&'a Op<'a>> = ops.iter().copied().filter(granted).collect();
    grants.sort_by_key(|op| op.granted().map(|(_, token)| token));
    // Of those with later tokens, who was in line first: of all, and of those who exclude all.
    let (mut first, mut first_exclusive): (Option<&'a Op<'a>>, Option<&'a Op<'a>>) = (None, None);
    let mut found = Vec::new();
    for op in grants.into_iter().rev() {
        let before = match op.mode {
            // Readers let readers pass: they hold together.
            Mode::Shared => first_exclusive,
            _ => first,
        };
        if let Some(before) = before
            && before.invoked.at + facts.terms.soon < op.invoked.at
        {
            found.push(overtaken(before, op));
        }
        if in_line.contains(&op.id) {
            first = earlier(first, op);
            if op.mode != Mode::Shared {
                first_exclusive = earlier(first_exclusive, op);
            }
        }
    }
    found
}

fn earlier<'a>(first: Option<&'a Op<'a>>, op: &'a Op<'a>) -> Option<&'a Op<'a>> {
    match first {
        Some(first) if first.invoked.at <= op.invoked.at => Some(first),
        _ => Some(op),
    }
}

/// The operations that were granted and had been in line since soon after they asked.
fn certainly_in_line(ops: &[&Op<'_>], facts: &Facts<'_>) -> HashSet<u64> {
    // Until when each client has somebody else who waits for the name.
    let mut busy: HashMap<u32, Duration> = HashMap::new();
    let mut in_line = HashSet::new();
    for op in ops {
        let answered = op.answered.map_or(facts.end, |(stamp, _)| stamp.at);
        let until = busy.entry(op.client).or_default();
        let is_alone = *until < op.invoked.at;
        // A place that is given up may be handed on to a neighbour.
        *until = (*until).max(answered + facts.terms.soon);
        if is_alone
            && op.wish != Wish::Try
            && op.granted().is_some()
            && facts.was_well(op.client, op.invoked.at, answered)
        {
            in_line.insert(op.id);
        }
    }
    in_line
}

fn overtaken(before: &Op<'_>, op: &Op<'_>) -> Verdict {
    let answered = op.answered.map_or(op.invoked, |(stamp, _)| stamp);
    let what = format!(
        "operation {} was granted `{}` before operation {}, which asked {:.3?} earlier",
        op.id,
        op.name,
        before.id,
        op.invoked.at - before.invoked.at
    );
    let events = [before.invoked.event, op.invoked.event, answered.event];
    Verdict::new(Promise::Order, answered.at, events, what)
}
