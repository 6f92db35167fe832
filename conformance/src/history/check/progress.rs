//! That those who wait are served.

use std::time::Duration;

use distlock_core::Mode;

use super::super::event::Wish;
use super::facts::{Client, Facts};
use super::op::{Answer, Loss, Op, Release, Stamp};
use super::spans::{Span, Spans};
use super::{Promise, Verdict};

/// P3: no name stands idle while somebody waits for it. P8: a free lock is not refused. And
/// everybody is answered, by no error while all is well.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Verdict> {
    let mut found = Vec::new();
    for ops in facts.names() {
        found.extend(idle(&ops, facts));
        found.extend(refused_for_nothing(&ops, facts));
    }
    for op in &facts.ops {
        found.extend(unanswered(op, facts));
        found.extend(failed_for_nothing(op, facts));
    }
    found.extend(unended(facts));
    found
}

/// A change in how many may hold a name, or wait for it.
struct Step {
    at: Duration,
    holders: i32,
    waiters: i32,
    event: usize,
}

/// Where nobody can have held the name for longer than a hand-over takes, and somebody waited.
fn idle(ops: &[&Op<'_>], facts: &Facts<'_>) -> Vec<Verdict> {
    let Some(first) = ops.first() else {
        return Vec::new();
    };
    // A wake-up that is lost costs a third of the TTL.
    let longest = ops.iter().map(|op| op.ttl).max().unwrap_or_default();
    let soon = longest / 3 + facts.terms.soon;
    let limit = match first.mode {
        Mode::Permit { limit } => i32::try_from(limit).unwrap_or(i32::MAX),
        _ => 1,
    };
    let mut steps = Vec::new();
    for op in ops {
        let mut step = |at, holders, waiters, event| {
            steps.push(Step {
                at,
                holders,
                waiters,
                event,
            });
        };
        for Span { from, to } in may_hold(op, facts) {
            step(from, 1, 0, op.invoked.event);
            step(to, -1, 0, op.invoked.event);
        }
        for Span { from, to } in waits(op, facts) {
            step(from, 0, 1, op.invoked.event);
            step(to, 0, -1, op.invoked.event);
        }
    }
    steps.sort_by_key(|step| step.at);
    let (mut holders, mut waiters) = (0, 0);
    let mut since: Option<(Duration, usize)> = None;
    let mut found = Vec::new();
    for Step {
        at,
        holders: held,
        waiters: waited,
        event,
    } in steps
    {
        holders += held;
        waiters += waited;
        let is_idle = waiters > 0 && holders < limit;
        if let Some((began, cause)) = since
            && let Some(verdict) = stood_idle(first.name, began, at, cause, event, soon, facts)
        {
            found.push(verdict);
            since = None;
        }
        since = is_idle.then(|| since.unwrap_or((at, event)));
    }
    found
}

fn stood_idle(
    name: &str,
    from: Duration,
    to: Duration,
    cause: usize,
    event: usize,
    soon: Duration,
    facts: &Facts<'_>,
) -> Option<Verdict> {
    let (from, to) = facts.longest_calm(from, to)?;
    if to - from <= soon {
        return None;
    }
    let what = format!(
        "nobody held `{name}` for {:.3?}, and somebody waited for it",
        to - from
    );
    Some(Verdict::new(
        Promise::Takeover,
        from + soon,
        [cause, event],
        what,
    ))
}

/// When the store may have the operation as a holder, so that others wait rightly.
fn may_hold(op: &Op<'_>, facts: &Facts<'_>) -> Vec<Span> {
    let terms = facts.terms;
    let dies = op.ttl + terms.slack;
    // Of one that has stopped the store hears nothing any more. What it has not heard of for so
    // long is gone.
    let until = |from, to| {
        let stopped = facts.stopped(op.client, from, to, dies);
        Span {
            from,
            to: stopped.map_or(to, |stopped| to.min(stopped + dies)),
        }
    };
    let held = op.answered.map(|(Stamp { at, .. }, answer)| match answer {
        Answer::Granted { .. } if op.wish == Wish::Try => until(op.invoked.at, let_go(op, facts)),
        Answer::Granted { .. } => until(at, let_go(op, facts)),
        Answer::Refused => until(op.invoked.at, at),
        // What was in flight is given back.
        Answer::TimedOut | Answer::Abandoned => until(at, at + terms.soon),
        Answer::Failed(_) => until(at, at + dies),
    });
    // One that stops while it waits may be granted what it waits for.
    let answered = op.answered.map_or(facts.end, |(stamp, _)| stamp.at);
    let unheard = facts.deaf(op.client, op.invoked.at, answered).into_iter();
    let unheard = unheard.map(|Span { from, to }| Span {
        from,
        to: to.min(from + dies),
    });
    held.into_iter().chain(unheard).collect()
}

/// When the store has heard at the latest that the guard is not needed any more.
fn let_go(op: &Op<'_>, facts: &Facts<'_>) -> Duration {
    let terms = facts.terms;
    let dies = op.ttl + terms.slack;
    let soon = |stamp: Stamp| stamp.at + terms.soon;
    let released = match (op.releasing, op.released) {
        (_, Some((stamp, Release::Done | Release::NotHeld))) => Some(stamp.at),
        (Some(stamp), _) => Some(stamp.at + dies),
        _ => None,
    };
    let lost = op.lost.map(|(stamp, loss)| match loss {
        Loss::Expired => soon(stamp) + terms.slack,
        _ => soon(stamp),
    });
    let ends = [released, lost, op.dropped.map(soon)];
    ends.into_iter().flatten().min().unwrap_or(facts.end)
}

/// When it waits and can hear that it is granted.
fn waits(op: &Op<'_>, facts: &Facts<'_>) -> Vec<Span> {
    if op.wish == Wish::Try {
        return Vec::new();
    }
    let answered = op.answered.map_or(facts.end, |(stamp, _)| stamp.at);
    let gone = facts.gone(op.client).unwrap_or(answered);
    facts.awake(op.client, op.invoked.at, answered.min(gone))
}

/// Tries that were refused while nobody can have held the name or waited for it, but others who
/// were refused.
fn refused_for_nothing(ops: &[&Op<'_>], facts: &Facts<'_>) -> Vec<Verdict> {
    let is_refused = |op: &Op<'_>| matches!(op.answered, Some((_, Answer::Refused)));
    let mut spans = Vec::new();
    for op in ops.iter().filter(|op| !is_refused(op)) {
        spans.extend(may_hold(op, facts));
        spans.extend(waits(op, facts));
    }
    let taken = Spans::covering(spans);
    let refused = ops.iter().filter(|op| is_refused(op));
    let verdict = |op: &&Op<'_>| {
        let (refused, _) = op.answered?;
        // What was let go of while something was wrong may be there for a TTL.
        let since = op.ttl + facts.terms.slack + facts.terms.soon;
        let since = op.invoked.at.saturating_sub(since);
        if taken.touch(op.invoked.at, refused.at) || facts.disturbed.touch(since, refused.at) {
            return None;
        }
        let what = format!(
            "operation {} was refused `{}`, which was free",
            op.id, op.name
        );
        let events = [op.invoked.event, refused.event];
        Some(Verdict::new(Promise::Limits, refused.at, events, what))
    };
    refused.filter_map(verdict).collect()
}

/// Everybody is answered.
fn unanswered(op: &Op<'_>, facts: &Facts<'_>) -> Option<Verdict> {
    let done = facts.done?;
    if op.answered.is_some() || facts.gone(op.client).is_some() {
        return None;
    }
    let what = format!("operation {} on `{}` was never answered", op.id, op.name);
    let events = [op.invoked.event, done.event];
    Some(Verdict::new(Promise::Answers, done.at, events, what))
}

fn failed_for_nothing(op: &Op<'_>, facts: &Facts<'_>) -> Option<Verdict> {
    let Some((failed, Answer::Failed(error))) = op.answered else {
        return None;
    };
    if !facts.was_well(op.client, op.invoked.at, failed.at) {
        return None;
    }
    let what = format!("operation {} failed while all was well: {error}", op.id);
    let events = [op.invoked.event, failed.event];
    Some(Verdict::new(Promise::Answers, failed.at, events, what))
}

/// Everybody ends, once all have had time enough.
fn unended(facts: &Facts<'_>) -> Vec<Verdict> {
    let Some(done) = facts.done else {
        return Vec::new();
    };
    let there = |(number, client): (&u32, &Client)| {
        let started = client.started.filter(|_| client.gone.is_none())?;
        let what = format!("client {number} does not come to an end");
        let events = [started.event, done.event];
        Some(Verdict::new(Promise::Answers, done.at, events, what))
    };
    facts.clients.iter().filter_map(there).collect()
}
