//! That losses are told, and have a reason.

use super::facts::Facts;
use super::op::{Loss, Op, Release};
use super::{Promise, Verdict};

/// P5: whoever has a guard is told in time that it is lost. P6: nothing is lost that can be kept,
/// and what is lost is not valid again.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Verdict> {
    let mut found = Vec::new();
    for op in &facts.ops {
        found.extend(told_late(op, facts));
        found.extend(lost_for_nothing(op, facts));
        found.extend(revived(op));
    }
    found
}

fn told_late(op: &Op<'_>, facts: &Facts<'_>) -> Option<Verdict> {
    let over = op.over?;
    // One that is paused can be told nothing; one that has been killed, ever.
    let last = facts.gone(op.client).unwrap_or(facts.end);
    let told = op.lost.map(|(stamp, _)| stamp);
    let let_go = [op.releasing, op.dropped].into_iter().flatten();
    let until = told.into_iter().chain(let_go).map(|stamp| stamp.at).min();
    let until = until.unwrap_or(last).min(last);
    let due = facts.resumed_after(op.client, over.at) + facts.terms.notice;
    if until <= due {
        return None;
    }
    let what = match told {
        Some(told) => format!(
            "the guard of operation {} was over, and its user told only {:.3?} later",
            op.id,
            told.at - over.at
        ),
        None => format!(
            "the guard of operation {} was over, and its user never told",
            op.id
        ),
    };
    let events = [Some(over), told].into_iter().flatten();
    let events = events.map(|stamp| stamp.event);
    Some(Verdict::new(Promise::LossTold, due, events, what))
}

fn lost_for_nothing(op: &Op<'_>, facts: &Facts<'_>) -> Option<Verdict> {
    let (granted, _) = op.granted()?;
    let lost = match (op.lost, op.released) {
        (Some((_, Loss::MaxHold)), _) => None,
        (Some((told, _)), _) => Some(told),
        (None, Some((released, Release::NotHeld))) => Some(released),
        _ => None,
    }?;
    // What keeps a renewal from being done may have begun two TTLs ago.
    let since = lost.at.saturating_sub(2 * op.ttl).max(op.invoked.at);
    if !facts.was_well(op.client, since, lost.at) {
        return None;
    }
    let what = format!(
        "operation {} lost its lock with nothing to keep it from being renewed",
        op.id
    );
    let events = [granted.event, lost.event];
    Some(Verdict::new(Promise::Renewal, lost.at, events, what))
}

fn revived(op: &Op<'_>) -> Option<Verdict> {
    let lost = op.lost.map(|(stamp, _)| stamp).into_iter().chain(op.over);
    let lost = lost.min_by_key(|stamp| stamp.at)?;
    let mut looks = op.valid.iter();
    let (again, _) = looks.find(|(look, until)| look.at > lost.at && *until > look.at)?;
    let what = format!(
        "the guard of operation {} was over, and then valid again",
        op.id
    );
    let events = [lost.event, again.event];
    Some(Verdict::new(Promise::Renewal, again.at, events, what))
}
