//! What is measured.

use std::time::Duration;

use distlock_load::{Kind, Workload};

pub(crate) const ONE_TASK: &str = "1 task";
pub(crate) const TASKS_64: &str = "64 tasks, a name each";
pub(crate) const CONTENDED: &str = "16 clients, one name";
pub(crate) const CONTENDED_HELD: &str = "16 clients, one name, held for 1 ms";

/// A line of the table for each contestant.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) workload: Workload,
}

/// All lines.
pub(crate) fn steps() -> Vec<Step> {
    let hold = Duration::from_millis(1);
    let contended = Workload::contended(16);
    let held = Workload { hold, ..contended };
    let kind = |kind| Workload { kind, ..held };
    [
        (ONE_TASK, Workload::apart(1)),
        ("16 tasks, a name each", Workload::apart(16)),
        (TASKS_64, Workload::apart(64)),
        ("256 tasks, a name each", Workload::apart(256)),
        (CONTENDED, contended),
        (CONTENDED_HELD, held),
        (
            "16 clients, 9 reads to a write, held for 1 ms",
            kind(Kind::ReadersWriters),
        ),
        (
            "16 clients, semaphore of 4, held for 1 ms",
            kind(Kind::Semaphore(4)),
        ),
    ]
    .map(|(name, workload)| Step { name, workload })
    .into()
}

/// How what is done in a second depends on how much there is of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    /// Of what there is more and more.
    pub(crate) of: &'static str,
    /// What is counted.
    pub(crate) counts: &'static str,
    /// Only distlock and the bare commands; with so many, others fail, or take minutes.
    pub(crate) only_ours: bool,
    points: &'static [usize],
    workload: fn(usize) -> Workload,
}

impl Curve {
    /// How many there are, and what is done then.
    pub(crate) fn points(&self, quick: bool) -> Vec<(usize, Workload)> {
        // The first three show that it works.
        let count = if quick { 3 } else { self.points.len() };
        let points = self.points.iter().take(count);
        points
            .map(|count| (*count, (self.workload)(*count)))
            .collect()
    }
}

pub(crate) const CURVES: [Curve; 3] = [
    Curve {
        of: "names",
        counts: "acquired and released a second, by a task for each name",
        only_ours: true,
        points: &[1, 10, 100, 1_000, 10_000],
        workload: Workload::apart,
    },
    Curve {
        of: "clients",
        counts: "changes of owner a second, of one name; alone, acquired",
        only_ours: false,
        points: &[1, 2, 4, 16, 64],
        workload: Workload::contended,
    },
    Curve {
        of: "waiters",
        counts: "changes of owner a second, of one name, by 16 clients",
        only_ours: true,
        points: &[2, 16, 100, 300, 1_000],
        workload: waiters,
    },
];

/// So many places in the store's line, of 16 clients at most.
fn waiters(count: usize) -> Workload {
    Workload {
        tasks: count,
        ..Workload::contended(count.min(16))
    }
}
