//! Holds a history against the promises.

mod facts;
mod guards;
mod liveness;
mod losses;
mod releases;
mod sessions;
mod store;
mod tokens;
mod troubles;

#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use crate::history::History;
use crate::plan::Plan;
use facts::Facts;

/// A promise that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The promise.
    pub promise: Promise,
    /// What happened instead.
    pub what: String,
    /// When, from the beginning of the run.
    pub at: Duration,
}

/// What the library promises, by the numbers of `docs/promises.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// P1: nobody holds beside whom it excludes, by the store's record.
    Exclusion,
    /// P2: tokens grow with the grants.
    Fencing,
    /// P3: an entry stands for a TTL after the store last heard of it, no longer and no shorter.
    Ttl,
    /// P4: no guard counts itself valid for longer than its store does.
    Validity,
    /// P4, as users see it: no two guards that exclude each other are valid at once.
    Overlap,
    /// P5: whoever has a guard is told in time that it is lost.
    LossTold,
    /// P6: what can be kept is kept, and what has ended is not revived.
    Renewal,
    /// P7: waiters are served, in order and soon.
    Waiting,
    /// P8: limits of time are kept, and a free lock is not refused.
    Limits,
    /// P9: nothing is left behind.
    NoResidue,
    /// P10: a release ends its own claim for good, and what it says of it is true.
    Release,
    /// P15: no guard without a grant.
    FailClosed,
    /// Nothing panics.
    NoPanic,
}

/// By what a history is measured.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    clients: Vec<ClientTerms>,
    /// From then on, what went wrong before has no effect any more.
    calm_from: Duration,
    longest_ttl: Duration,
    /// Whether claims stand under sessions; what is otherwise there, [`sessions`] says.
    in_sessions: bool,
    /// How much longer than its TTL the store may keep what it has not heard of.
    slack: Duration,
    /// A waiter that all is well with learns within this of its grant.
    soon: Duration,
}

#[derive(Clone, Copy, Debug)]
struct ClientTerms {
    /// The TTL of its claims as its own clock measures it.
    own_ttl: Duration,
    /// The same as the store's clock does.
    store_ttl: Duration,
}

impl Terms {
    pub(crate) fn of(plan: &Plan) -> Self {
        let clients = (0..plan.clients.len()).map(|client| ClientTerms {
            own_ttl: plan.in_force(client),
            store_ttl: plan.at_store(client),
        });
        Self {
            clients: clients.collect(),
            calm_from: plan.heals_at + plan.longest_delay() + plan.longest_ttl(),
            longest_ttl: plan.longest_ttl(),
            in_sessions: plan.family.has_sessions(),
            slack: plan.family.slack(),
            soon: plan.family.soon(plan.longest_ttl()),
        }
    }
}

impl Violation {
    fn new(promise: Promise, at: Duration, what: impl Into<String>) -> Self {
        Self {
            promise,
            what: what.into(),
            at,
        }
    }

    pub(crate) fn panic(message: String) -> Self {
        Self::new(Promise::NoPanic, Duration::MAX, message)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, what, at } = self;
        write!(f, "{promise:?} at {:.3} ms: {what}", at.as_secs_f64() * 1e3)
    }
}

/// Every promise broken in this history, the earliest first.
pub(crate) fn all(history: &History, terms: &Terms) -> Vec<Violation> {
    let facts = Facts::of(history.events(), terms);
    let mut found = Vec::new();
    found.extend(store::check(&facts));
    found.extend(sessions::check(&facts));
    found.extend(guards::check(&facts));
    found.extend(tokens::check(&facts));
    found.extend(losses::check(&facts));
    found.extend(releases::check(&facts));
    found.extend(liveness::check(&facts));
    found.sort_by_key(|violation| violation.at);
    found
}
