//! What the users' guards claimed.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use distlock_core::Mode;

use super::facts::Facts;
use super::op::{Loss, Op, Stamp};
use super::{Promise, Verdict};

/// A guard counted itself valid for all of this time.
#[derive(Debug)]
struct Claimed<'a> {
    op: &'a Op<'a>,
    from: Stamp,
    to: Duration,
}

/// P4: no two guards that exclude each other count themselves valid at once. Second, what is
/// excused: where the store was made to forget since the earlier of them was asked for.
pub(super) fn check(facts: &Facts<'_>) -> (Vec<Verdict>, Vec<Verdict>) {
    let mut found = (Vec::new(), Vec::new());
    for ops in facts.names() {
        let claimed = ops.iter().flat_map(|op| claimed(op, facts));
        overlaps(claimed.collect(), facts, &mut found);
    }
    found
}

/// When its guard is known to have counted itself valid: from each look at it for as long as it
/// said, unless its user let go of it or was told otherwise.
fn claimed<'a>(op: &'a Op<'a>, facts: &Facts<'_>) -> Vec<Claimed<'a>> {
    let let_go = op.let_go(facts).unwrap_or(Duration::MAX);
    // A hold that is revoked ends some time before its user is told: when, nobody knows.
    let is_revoked = matches!(op.lost, Some((_, Loss::Revoked)));
    let last = op.valid.len().saturating_sub(1);
    let mut claimed: Vec<Claimed<'_>> = Vec::new();
    for (look, (from, until)) in op.valid.iter().enumerate() {
        let to = match is_revoked && look == last {
            true => from.at,
            false => (*until).min(let_go),
        };
        match claimed.last_mut() {
            Some(before) if from.at <= before.to => before.to = before.to.max(to),
            _ if from.at < to => claimed.push(Claimed {
                op,
                from: *from,
                to,
            }),
            _ => {}
        }
    }
    claimed
}

/// Goes through them in time, with those that count themselves valid at hand.
fn overlaps(
    mut claimed: Vec<Claimed<'_>>,
    facts: &Facts<'_>,
    (found, excused): &mut (Vec<Verdict>, Vec<Verdict>),
) {
    claimed.sort_by_key(|claim| claim.from.at);
    // Those that exclude everybody, and the others, by their ends.
    let mut exclusive: BTreeMap<(Duration, u64), usize> = BTreeMap::new();
    let mut others: BTreeMap<(Duration, u64), usize> = BTreeMap::new();
    let mut told = HashSet::new();
    for (number, claim) in claimed.iter().enumerate() {
        let now = claim.from.at;
        for valid in [&mut exclusive, &mut others] {
            while valid
                .first_key_value()
                .is_some_and(|((to, _), _)| *to <= now)
            {
                valid.pop_first();
            }
        }
        let longest = |valid: &BTreeMap<_, usize>| valid.last_key_value().map(|(_, it)| *it);
        let beside = match claim.op.mode {
            Mode::Exclusive => longest(&exclusive).or_else(|| longest(&others)),
            Mode::Permit { limit } if others.len() >= limit as usize => longest(&others),
            Mode::Permit { .. } => None,
            _ => longest(&exclusive),
        };
        if let Some(beside) = beside.map(|beside| &claimed[beside])
            && told.insert((beside.op.id, claim.op.id))
        {
            let verdict = overlap(beside, claim);
            let since = beside.op.invoked.at.min(claim.op.invoked.at);
            match facts.may_have_forgotten(since, now) {
                true => excused.push(verdict),
                false => found.push(verdict),
            }
        }
        let valid = match claim.op.mode {
            Mode::Exclusive => &mut exclusive,
            _ => &mut others,
        };
        valid.insert((claim.to, claim.op.id), number);
    }
}

fn overlap(earlier: &Claimed<'_>, later: &Claimed<'_>) -> Verdict {
    let together = earlier.to.min(later.to) - later.from.at;
    let what = format!(
        "the guards of operations {} and {} on `{}` were both valid for {together:.3?}",
        earlier.op.id, later.op.id, later.op.name
    );
    let events = [earlier.from.event, later.from.event];
    Verdict::new(Promise::Validity, later.from.at, events, what)
}
