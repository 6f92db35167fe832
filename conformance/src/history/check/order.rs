//! The order of grants, by their tokens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use distlock_core::Mode;

use super::facts::Facts;
use super::op::{Op, Stamp};
use super::{Promise, Verdict};

/// P1 and P2, by the store's view: there are instants, one for each grant and between its
/// invocation and its answer, at which the store can have made the grants in the order of their
/// tokens, each after those had ended that exclude it.
///
/// When a hold ended is not known: it may have been lost. It is known how long it lasted at least.
/// So all that is known of an instant are lower bounds, and it is enough to try the earliest.
/// Acquisitions of unknown outcome may not have come to anything, and show no token.
///
/// Second, what is excused: where there may have been two stores, of which neither knew the holders
/// of the other. For their tokens there is no excuse.
pub(super) fn check(facts: &Facts<'_>) -> (Vec<Verdict>, Vec<Verdict>) {
    let found = facts.names().flat_map(|ops| check_name(&ops, facts));
    let is_excused = |verdict: &Verdict| {
        let at = |event: &usize| facts.events[*event].at;
        let times = || verdict.events.iter().map(at);
        let (from, to) = (times().min(), times().max());
        verdict.promise == Promise::Exclusion
            && facts.may_have_split(from.unwrap_or_default(), to.unwrap_or_default())
    };
    let (excused, found) = found.partition(is_excused);
    (found, excused)
}

/// A lower bound, and what sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    at: Duration,
    op: u64,
    event: usize,
}

#[derive(Debug, Default)]
struct Look {
    last: Option<(Bound, u64)>,
    /// The latest instants at which somebody is known to have held exclusively, and shared.
    exclusive: Option<Bound>,
    shared: Option<Bound>,
    /// The latest such instants of permits, one for each that can be had.
    permits: BinaryHeap<Reverse<Bound>>,
    found: Vec<Verdict>,
}

fn check_name(ops: &[&Op<'_>], facts: &Facts<'_>) -> Vec<Verdict> {
    let granted = |op: &&&Op<'_>| op.granted().is_some();
    let mut grants: Vec<_> = ops.iter().filter(granted).collect();
    grants.sort_by_key(|op| op.granted().map(|(_, token)| token));
    let mut look = Look::default();
    for op in grants {
        if let Some((answered, token)) = op.granted() {
            look.grant(op, answered, token, facts);
        }
    }
    look.found
}

impl Look {
    fn grant(&mut self, op: &Op<'_>, answered: Stamp, token: u64, facts: &Facts<'_>) {
        let begins = Bound {
            at: op.invoked.at,
            op: op.id,
            event: op.invoked.event,
        };
        let (last, last_token) = self.last.unzip();
        if last_token == Some(token) {
            self.violation(Promise::Fencing, op, answered, last, |other| {
                format!(
                    "operations {other} and {} have both the token {token}",
                    op.id
                )
            });
            return;
        }
        let beside = match op.mode {
            Mode::Exclusive => self.exclusive.max(self.shared),
            Mode::Shared => self.exclusive,
            Mode::Permit { limit } if self.permits.len() >= limit as usize => {
                self.permits.peek().map(|Reverse(bound)| *bound)
            }
            _ => None,
        };
        let (order, beside_at) = (last, beside);
        if order.is_some_and(|bound| bound.at > answered.at) {
            self.violation(Promise::Fencing, op, answered, order, |other| {
                format!(
                    "operation {} has the token {token}, and was over before operation {other} \
                     began, which has a smaller one",
                    op.id
                )
            });
            return;
        }
        if beside_at.is_some_and(|bound| bound.at > answered.at) {
            self.violation(Promise::Exclusion, op, answered, beside_at, |other| {
                format!(
                    "operation {} was granted the lock while operation {other} still held it",
                    op.id
                )
            });
            return;
        }
        let point = Some(begins).max(order).max(beside_at).unwrap_or(begins);
        self.last = Some((point, token));
        self.hold(op, op.proven(facts), point);
    }

    /// The grant was at that point, and lasted as long as is known.
    fn hold(&mut self, op: &Op<'_>, proven: Option<Stamp>, point: Bound) {
        let proven = proven.filter(|proven| proven.at > point.at);
        let until = Bound {
            at: proven.map_or(point.at, |proven| proven.at),
            op: op.id,
            event: proven.map_or(op.invoked.event, |proven| proven.event),
        };
        match op.mode {
            Mode::Exclusive => self.exclusive = self.exclusive.max(Some(until)),
            Mode::Permit { limit } => {
                self.permits.push(Reverse(until));
                if self.permits.len() > limit as usize {
                    self.permits.pop();
                }
            }
            _ => self.shared = self.shared.max(Some(until)),
        }
    }

    fn violation(
        &mut self,
        promise: Promise,
        op: &Op<'_>,
        answered: Stamp,
        other: Option<Bound>,
        what: impl FnOnce(u64) -> String,
    ) {
        let other_op = other.map_or(op.id, |bound| bound.op);
        let events = [op.invoked.event, answered.event];
        let events = other.map(|bound| bound.event).into_iter().chain(events);
        let verdict = Verdict::new(promise, answered.at, events, what(other_op));
        self.found.push(verdict);
    }
}
