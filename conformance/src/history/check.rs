//! Holds a history against the promises.

mod facts;
mod figures;
mod line;
mod loss;
mod op;
mod order;
mod progress;
mod residue;
mod resource;
mod spans;
mod troubles;
mod validity;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use super::{History, Terms};
use facts::Facts;

pub use facts::Malformed;
pub use figures::Figures;

/// What a history comes to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// Promises that were broken, the earliest first.
    pub violations: Vec<Verdict>,
    /// What would break a promise, had not the store been made to forget before, or been split.
    pub excused: Vec<Verdict>,
    /// How much happened.
    pub figures: Figures,
}

/// That a promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The promise.
    pub promise: Promise,
    /// What happened instead.
    pub what: String,
    /// When it could be seen.
    pub at: Duration,
    /// The events that show it, as positions in the history.
    pub events: Vec<usize>,
}

/// What is promised, by the numbers of `docs/promises.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// P1: nobody holds beside whom it excludes.
    Exclusion,
    /// P2: tokens are unique, and grow with the grants.
    Fencing,
    /// P3: what is dead, or given back, keeps nobody waiting.
    Takeover,
    /// P4: no two guards that exclude each other are valid at once.
    Validity,
    /// P5: whoever has a guard is told in time that it is lost.
    LossTold,
    /// P6: what can be kept is kept, and what is lost stays lost.
    Renewal,
    /// P7: first come, first served, where the store is fair.
    Order,
    /// P8: a free lock is not refused.
    Limits,
    /// P9 and P10: in the end, nobody holds or waits.
    NothingLeft,
    /// Everybody is answered, and by no error when all is well.
    Answers,
    /// The fenced resource has done its part: else the history proves nothing.
    Resource,
}

impl Verdict {
    fn new(
        promise: Promise,
        at: Duration,
        events: impl IntoIterator<Item = usize>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            promise,
            what: what.into(),
            at,
            events: events.into_iter().collect(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, what, .. } = self;
        write!(f, "{promise:?}: {what}")
    }
}

/// What the history says of the promises. Takes little more time than it takes to sort the events.
///
/// # Errors
/// The history contradicts itself: an operation is granted that nobody began.
pub fn check(history: &History, terms: &Terms) -> Result<Findings, Malformed> {
    let facts = Facts::of(history.events(), terms)?;
    let (overlaps, mut excused) = validity::check(&facts);
    let (mut violations, split) = order::check(&facts);
    excused.extend(split);
    excused.sort_by_key(|verdict| verdict.at);
    violations.extend(overlaps);
    violations.extend(loss::check(&facts));
    violations.extend(progress::check(&facts));
    violations.extend(line::check(&facts));
    violations.extend(residue::check(&facts));
    violations.extend(resource::check(&facts));
    violations.sort_by_key(|verdict| verdict.at);
    Ok(Findings {
        violations,
        excused,
        figures: Figures::of(&facts),
    })
}
