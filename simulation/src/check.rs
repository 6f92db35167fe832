//! Holds a history against the promises.

mod guards;
mod liveness;
mod store;
mod tokens;

use std::fmt;
use std::time::Duration;

use crate::history::History;

/// A promise that a run broke.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The promise, by its number in the design. That nothing panics has none.
    pub promise: &'static str,
    /// What happened instead.
    pub what: String,
    /// When, from the beginning of the run.
    pub at: Duration,
}

impl Violation {
    fn new(promise: &'static str, at: Duration, what: impl Into<String>) -> Self {
        Self {
            promise,
            what: what.into(),
            at,
        }
    }

    pub(crate) fn panic(message: String) -> Self {
        Self::new("no panic", Duration::MAX, message)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, what, at } = self;
        write!(f, "{promise} at {:.3} ms: {what}", at.as_secs_f64() * 1e3)
    }
}

/// Every promise broken in this history. From `calm_from` on, what went wrong before has no effect
/// any more.
pub(crate) fn all(history: &History, calm_from: Duration, ttl: Duration) -> Vec<Violation> {
    let events = history.events();
    let mut found = Vec::new();
    found.extend(store::check(events));
    found.extend(guards::check(events));
    found.extend(tokens::check(events));
    found.extend(liveness::check(events, calm_from, ttl));
    found.sort_by_key(|violation| violation.at);
    found
}
