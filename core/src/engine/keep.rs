use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::begin::Starts;
use super::hold::Hold;
use crate::clock::Moment;
use crate::guard::Loss;
use crate::sync::{Mutex, MutexGuard, Notify};

/// Timers stand still while the machine is suspended. While holds exist, the keeper looks at the
/// clock that does not at least this often.
const LOOK: Duration = Duration::from_secs(1);

/// The table of all holds: one task renews them and tells their losses, by one timer.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    table: Mutex<Table>,
    /// Something is due earlier than the task thinks, or it is to stop.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Table {
    holds: HashMap<u64, Kept>,
    due: BTreeSet<(Moment, u64)>,
    next_number: u64,
    /// Until when the task sleeps. `None`: until it is told.
    asleep_until: Option<Moment>,
    stopped: bool,
}

#[derive(Debug)]
struct Kept {
    hold: Arc<Hold>,
    /// When it is to be renewed. `None` while that is being done, or if it never is.
    renewal: Option<Moment>,
    due: Moment,
}

/// What is due.
#[derive(Default)]
struct Due {
    ended: Vec<Arc<Hold>>,
    renewals: Vec<Arc<Hold>>,
    sleep: Option<Duration>,
    stopped: bool,
}

/// Keeps the holds until the engine stops. If its runtime shuts down before, be it before this has
/// begun, the holds count as lost at once, since nobody renews them any more, and what had begun
/// ends.
pub(super) fn run(keeper: Arc<Keeper>, starts: Arc<Starts>) -> impl Future<Output = ()> + Send {
    let abandon = Abandon { keeper, starts };
    async move { keep(&abandon.keeper).await }
}

struct Abandon {
    keeper: Arc<Keeper>,
    starts: Arc<Starts>,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.keeper.stop();
        let holds = std::mem::take(&mut self.keeper.table().holds);
        holds
            .into_values()
            .for_each(|kept| kept.hold.end(Loss::Expired));
        self.starts.end();
    }
}

async fn keep(keeper: &Keeper) {
    loop {
        let due = keeper.due(Moment::now());
        if due.stopped {
            return;
        }
        due.ended.iter().for_each(Hold::end_by_clock);
        for hold in due.renewals {
            let engine = Arc::clone(&hold.engine);
            engine.spawn(hold.renew());
        }
        match due.sleep {
            Some(sleep) => {
                let _ = tokio::time::timeout(sleep, keeper.sooner.notified()).await;
            }
            None => keeper.sooner.notified().await,
        }
    }
}

/// When there is something to do for a hold.
fn due_at(renewal: Option<Moment>, ends: Moment) -> Moment {
    renewal.map_or(ends, |renewal| renewal.min(ends))
}

impl Keeper {
    /// A number for a hold that is to be kept.
    pub(super) fn number(&self) -> u64 {
        let mut table = self.table();
        table.next_number += 1;
        table.next_number
    }

    pub(super) fn add(&self, hold: &Arc<Hold>, renewal: Option<Moment>) {
        let mut table = self.table();
        if table.stopped {
            drop(table);
            hold.end(Loss::Expired);
            return;
        }
        let due = due_at(renewal, hold.ends());
        table.due.insert((due, hold.kept_as()));
        table.holds.insert(
            hold.kept_as(),
            Kept {
                hold: Arc::clone(hold),
                renewal,
                due,
            },
        );
        self.wake_for(due, table);
    }

    /// Renews this hold, which is not being renewed, at that time. A hold that has ended is left
    /// alone.
    pub(super) fn schedule(&self, hold: &Hold, renewal: Option<Moment>) {
        let mut table = self.table();
        let Table {
            holds,
            due: all_due,
            ..
        } = &mut *table;
        let Some(kept) = holds.get_mut(&hold.kept_as()) else {
            return;
        };
        let due = due_at(renewal, hold.ends());
        all_due.remove(&(kept.due, hold.kept_as()));
        all_due.insert((due, hold.kept_as()));
        (kept.renewal, kept.due) = (renewal, due);
        self.wake_for(due, table);
    }

    pub(super) fn remove(&self, number: u64) {
        let mut table = self.table();
        if let Some(kept) = table.holds.remove(&number) {
            table.due.remove(&(kept.due, number));
        }
    }

    pub(super) fn stop(&self) {
        self.table().stopped = true;
        self.sooner.notify_one();
    }

    /// Takes out what is due, and notes until when there is nothing more to do.
    fn due(&self, now: Moment) -> Due {
        let mut table = self.table();
        let mut found = Due {
            stopped: table.stopped,
            ..Due::default()
        };
        while let Some(&(due, number)) = table.due.first()
            && due <= now
        {
            table.due.pop_first();
            let Some(kept) = table.holds.get_mut(&number) else {
                continue;
            };
            let ends = kept.hold.ends();
            if ends <= now {
                let kept = table.holds.remove(&number);
                found.ended.extend(kept.map(|kept| kept.hold));
                continue;
            }
            if kept.renewal.take_if(|renewal| *renewal <= now).is_some() {
                found.renewals.push(Arc::clone(&kept.hold));
            }
            kept.due = due_at(kept.renewal, ends);
            let due = kept.due;
            table.due.insert((due, number));
        }
        found.sleep = table.due.first().map(|(due, _)| due.since(now).min(LOOK));
        table.asleep_until = found.sleep.map(|sleep| now + sleep);
        found
    }

    fn wake_for(&self, due: Moment, table: MutexGuard<'_, Table>) {
        if table.asleep_until.is_none_or(|until| due < until) {
            drop(table);
            self.sooner.notify_one();
        }
    }

    #[cfg(all(test, shuttle))]
    pub(super) fn is_empty(&self) -> bool {
        let table = self.table();
        table.holds.is_empty() && table.due.is_empty()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
