use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::locker::{Locker, Lockers};
use crate::outcome::{Outcome, Waits};
use crate::workload::Workload;

/// How long tasks work before the round begins, for each of them and at most: until all have taken
/// their places in line.
const LEAD_EACH: Duration = Duration::from_millis(1);
const LEAD: Duration = Duration::from_secs(1);

/// Has tasks do this for so long; nothing comes of what cannot be had.
///
/// They are tasks, as in an application, also where it is one: the future of `main` runs on a
/// thread that is no worker. What is acquired after the end is not counted, but a wait that began
/// before counts in full, or those who are starved would not show.
///
/// # Errors
/// Something could not be acquired or released.
pub async fn round(
    lockers: &dyn Lockers,
    workload: Workload,
    length: Duration,
) -> Result<Option<Outcome>> {
    if !lockers.can(&workload) {
        return Ok(None);
    }
    let mut made = Vec::with_capacity(workload.tasks);
    for task in 0..workload.tasks {
        made.push(lockers.locker(workload.seat(task)).await?);
    }
    let owner = Arc::new(AtomicUsize::new(usize::MAX));
    let lead = LEAD_EACH.saturating_mul(u32::try_from(workload.tasks).unwrap_or(u32::MAX));
    let begin = Instant::now() + lead.min(LEAD);
    let working = made.into_iter().enumerate().map(|(number, locker)| {
        let owner = Arc::clone(&owner);
        let task = Task {
            number,
            workload,
            owner,
            round: begin..begin + length,
        };
        task.work(locker)
    });
    let working: JoinSet<_> = working.collect();
    let done = working
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    Ok(Some(outcome(&done, workload, length)))
}

struct Task {
    number: usize,
    workload: Workload,
    /// Whose the name is, if all want one.
    owner: Arc<AtomicUsize>,
    round: Range<Instant>,
}

/// What came of a task.
#[derive(Default)]
struct Done {
    acquired: usize,
    /// How often somebody else had held it before.
    changes: usize,
    waits: Vec<Duration>,
}

impl Task {
    async fn work(self, mut locker: Box<dyn Locker>) -> Result<Done> {
        let mut done = Done::default();
        for time in 0.. {
            let began = Instant::now();
            if began >= self.round.end {
                break;
            }
            let mode = self.workload.mode(self.number, time);
            locker.acquire(mode).await?;
            let acquired = Instant::now();
            let former = self.owner.swap(self.number, Ordering::Relaxed);
            if self.round.contains(&acquired) {
                done.acquired += 1;
                done.changes += usize::from(former != self.number);
            }
            if acquired >= self.round.start {
                done.waits.push(acquired - began);
            }
            if !self.workload.hold.is_zero() {
                tokio::time::sleep(self.workload.hold).await;
            }
            locker.release().await?;
        }
        Ok(done)
    }
}

fn outcome(done: &[Done], workload: Workload, length: Duration) -> Outcome {
    let rate = |count: fn(&Done) -> usize| {
        done.iter().map(count).sum::<usize>() as f64 / length.as_secs_f64()
    };
    let acquisitions = rate(|done| done.acquired);
    let mut waits = Waits::default();
    for wait in done.iter().flat_map(|done| &done.waits) {
        waits.add(*wait);
    }
    Outcome {
        rate: match workload.counts_changes() {
            true => rate(|done| done.changes),
            false => acquisitions,
        },
        acquisitions,
        granted: done.iter().map(|done| done.acquired).collect(),
        waits,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;
    use async_trait::async_trait;
    use tokio::sync::{Mutex, OwnedMutexGuard};

    use super::*;
    use crate::locker::{Mode, Seat};
    use crate::outcome::share;

    /// Locks of tokio: one for all who want one name.
    struct Local(Arc<Mutex<()>>);

    struct Holding(Arc<Mutex<()>>, Option<OwnedMutexGuard<()>>);

    #[async_trait]
    impl Locker for Holding {
        async fn acquire(&mut self, _mode: Mode) -> Result<()> {
            ensure!(self.1.is_none(), "it is released first");
            self.1 = Some(Arc::clone(&self.0).lock_owned().await);
            Ok(())
        }

        async fn release(&mut self) -> Result<()> {
            self.1 = None;
            Ok(())
        }
    }

    #[async_trait]
    impl Lockers for Local {
        fn can(&self, workload: &Workload) -> bool {
            workload.clients == 1 || workload.counts_changes()
        }

        async fn locker(&self, _seat: Seat) -> Result<Box<dyn Locker>> {
            Ok(Box::new(Holding(Arc::clone(&self.0), None)))
        }
    }

    const LENGTH: Duration = Duration::from_millis(200);

    async fn done(workload: Workload) -> Option<Outcome> {
        round(&Local(Arc::default()), workload, LENGTH)
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_fair_lock_changes_its_owner_each_time() {
        let hold = Duration::from_millis(1);
        let outcome = done(Workload {
            hold,
            ..Workload::contended(4)
        })
        .await
        .unwrap();
        assert!(outcome.rate > 0.9 * outcome.acquisitions, "{outcome:?}");
        assert!(share(&outcome.granted) > 0.8, "{outcome:?}");
        // Three others hold it meanwhile.
        assert!(outcome.waits.quantile(0.5) > 2 * hold, "{outcome:?}");
    }

    #[tokio::test]
    async fn one_alone_is_counted_by_what_it_acquires() {
        let outcome = done(Workload::contended(1)).await.unwrap();
        assert!(outcome.rate > 1e3, "{outcome:?}");
    }

    /// A lock that is free for one client, and takes its time for the others.
    struct Unfair;

    struct Waiting(Duration);

    const LONG: Duration = Duration::from_millis(300);

    #[async_trait]
    impl Locker for Waiting {
        async fn acquire(&mut self, _mode: Mode) -> Result<()> {
            tokio::time::sleep(self.0).await;
            Ok(())
        }

        async fn release(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[async_trait]
    impl Lockers for Unfair {
        fn can(&self, _workload: &Workload) -> bool {
            true
        }

        async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
            let is_first = seat.client == 0;
            let wait = if is_first {
                Duration::from_millis(1)
            } else {
                LONG
            };
            Ok(Box::new(Waiting(wait)))
        }
    }

    #[tokio::test]
    async fn who_acquires_again_changes_nothing_and_who_starves_shows() {
        let outcome = round(&Unfair, Workload::contended(2), LENGTH).await;
        let outcome = outcome.unwrap().unwrap();
        assert!(outcome.acquisitions > 100.0, "{outcome:?}");
        // Of nothing but the first, if at all.
        assert!(outcome.rate <= 1.0 / LENGTH.as_secs_f64(), "{outcome:?}");
        assert_eq!(share(&outcome.granted), 0.0, "{outcome:?}");
        assert!(outcome.waits.longest() >= LONG, "{outcome:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_had_is_left_out() {
        let kind = crate::Kind::Semaphore(4);
        assert!(
            done(Workload {
                kind,
                ..Workload::contended(4)
            })
            .await
            .is_none()
        );
    }
}
