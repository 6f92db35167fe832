use std::sync::Arc;

use crate::cases::all;
use crate::harness::Harness;
use crate::panics::Panics;
use crate::runner::judge;

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store keeps its promise, as far as the case can see.
    Passed,
    /// It does not; this is what the suite says of it, beginning with the promise: `P10: …`.
    Failed(String),
    /// The case makes no sense for the store; this is what it would need.
    Ignored(String),
}

/// The names of all cases, `promise::case`, in the order of the promises.
pub fn cases() -> impl Iterator<Item = String> {
    all().into_iter().map(|case| case.name)
}

/// Runs one case against a store, and returns when it has ended. Several can run at a time, each
/// called on a thread of its own; most sleep most of the time.
///
/// The cases that need a second process are ignored: they need an executable that begins with
/// [`run`](crate::run).
///
/// # Panics
/// If there is no case of this name.
pub fn check(harness: Arc<dyn Harness>, case: &str) -> Verdict {
    let known = all().into_iter().find(|known| known.name == case);
    let case = known.unwrap_or_else(|| panic!("no case is called `{case}`"));
    if let Some(need) = case.lacks(&*harness) {
        return Verdict::Ignored(need.to_string());
    }
    if case.starts_processes() {
        return Verdict::Ignored("needs an executable that begins with `run`".to_owned());
    }
    Panics::install_hook();
    let judged = judge(harness, &case);
    Panics::of_this_thread_no_more();
    judged.map_or_else(Verdict::Failed, |()| Verdict::Passed)
}
