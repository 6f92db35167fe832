use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::{CasStore, Swap, Version};
use crate::backend::ClaimRequest;
use crate::clock::{Deadline, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;
use crate::queue::{LockQueue, Outcome, Place, StoreTime};
use crate::sync::{AsyncMutex, Mutex, MutexGuard, oneshot};

/// The records that claims of this client are about.
pub(super) struct Records<S>(Arc<Table<S>>);

type Table<S> = Mutex<HashMap<Name, Weak<Record<S>>>>;

/// One name's record, for all claims of this client on that name.
///
/// What they want at the same time is done together, in one swap: a hundred readers that are
/// renewed do not race each other for the record.
pub(super) struct Record<S> {
    pub(super) store: Arc<S>,
    name: Name,
    table: Arc<Table<S>>,
    wanted: Mutex<Vec<Wanted>>,
    turn: Turn,
    /// The turn of those who could not wait for the other one any longer. Two swaps at a time cost
    /// each other little; of two of one version, one is stale.
    overtaking: Turn,
}

/// Whoever has this does all that is wanted. In it, the record as it was last stored from here, if
/// all who stood in it were this client's: most likely it still is so, and need not be loaded.
type Turn = AsyncMutex<Option<(LockQueue, Version)>>;

/// What a claim wants done to the record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Enter { wait: bool },
    Renew,
    Leave,
}

struct Wanted {
    verb: Verb,
    request: Arc<ClaimRequest>,
    /// Whether something that this claim asked for may still be on its way. Then the record is
    /// written even if that changes nothing: it has another version afterwards, and what comes late
    /// comes too late.
    unsure: bool,
    /// Closed once whoever asked does not wait any more: then it is not to be done.
    answer: oneshot::Sender<Result<Changed>>,
}

/// What a verb came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) place: Place,
    /// An instant before the store's clock was read for it.
    pub(super) as_of: Moment,
    /// Whether the verb may have been done before, by a swap whose answer nobody waited for.
    pub(super) again: bool,
}

impl<S: CasStore> Records<S> {
    /// The record of this name.
    pub(super) fn of(&self, name: &Name, store: &Arc<S>) -> Arc<Record<S>> {
        let mut table = lock(&self.0);
        if let Some(record) = table.get(name).and_then(Weak::upgrade) {
            return record;
        }
        let record = Arc::new(Record {
            store: Arc::clone(store),
            name: name.clone(),
            table: Arc::clone(&self.0),
            wanted: Mutex::default(),
            turn: Turn::default(),
            overtaking: Turn::default(),
        });
        table.insert(name.clone(), Arc::downgrade(&record));
        record
    }
}

impl<S: CasStore> Record<S> {
    /// Has a verb done, together with whatever else is wanted of this record.
    pub(super) async fn change(
        &self,
        verb: Verb,
        request: &Arc<ClaimRequest>,
        unsure: bool,
        by: Deadline,
    ) -> Result<Changed> {
        by.bound(async {
            let owner = &request.owner;
            let changed = self.want(verb, request, unsure);
            let patience = by.remaining() / 2;
            if let Some(done) = self.led(&self.turn, patience, changed, owner, by).await {
                return done;
            }
            // Whoever has the turn has more time for a store that hangs, or its runtime is blocked.
            // What it may have taken from here to do, it does not begin any more; it may be under
            // way.
            let changed = self.want(verb, request, true);
            let done = self
                .led(&self.overtaking, by.remaining(), changed, owner, by)
                .await;
            let changed = done.unwrap_or_else(|| Err(unfinished()))?;
            let again = true;
            Ok(Changed { again, ..changed })
        })
        .await
    }

    fn want(
        &self,
        verb: Verb,
        request: &Arc<ClaimRequest>,
        unsure: bool,
    ) -> oneshot::Receiver<Result<Changed>> {
        let (answer, changed) = oneshot::channel();
        lock(&self.wanted).push(Wanted {
            verb,
            request: Arc::clone(request),
            unsure,
            answer,
        });
        changed
    }

    /// Waits until this has been changed, or does all that is wanted once it has the turn. `None`
    /// if neither comes for as long as `patience`.
    async fn led(
        &self,
        turn: &Turn,
        patience: Duration,
        mut changed: oneshot::Receiver<Result<Changed>>,
        owner: &str,
        by: Deadline,
    ) -> Option<Result<Changed>> {
        tokio::select! {
            biased;
            done = &mut changed => return Some(done.unwrap_or_else(|_| Err(unfinished()))),
            mut remembered = turn.lock() => {
                if changed.is_empty() {
                    let wanted = std::mem::take(&mut *lock(&self.wanted));
                    self.change_all(wanted, owner, &mut remembered, by).await;
                }
            }
            () = tokio::time::sleep(patience) => return None,
        }
        // Whoever did it may have been given less time for it.
        Some(changed.await.unwrap_or_else(|_| Err(unfinished())))
    }

    async fn change_all(
        &self,
        mut wanted: Vec<Wanted>,
        owner: &str,
        remembered: &mut Option<(LockQueue, Version)>,
        by: Deadline,
    ) {
        match self.swap(&mut wanted, owner, remembered, by).await {
            Ok(changes) => {
                for (wanted, changed) in wanted.into_iter().zip(changes) {
                    drop(wanted.answer.send(changed));
                }
            }
            Err(error) => {
                for wanted in wanted {
                    drop(wanted.answer.send(Err(error.clone())));
                }
            }
        }
    }

    /// Loads the record, applies all that is wanted, and swaps it; again if another client was
    /// faster.
    async fn swap(
        &self,
        wanted: &mut Vec<Wanted>,
        owner: &str,
        remembered: &mut Option<(LockQueue, Version)>,
        by: Deadline,
    ) -> Result<Vec<Result<Changed>>> {
        loop {
            let is_loaded = remembered.is_none();
            let record = match remembered.take() {
                Some(record) => Some(record),
                None => self.store.load(&self.name, by).await?,
            };
            let as_of = Moment::now();
            let now = self.store.now()?;
            let floor = self.store.floor();
            let (before, version) = match record {
                Some((queue, version)) => (queue, Some(version)),
                None => (LockQueue::new(&now), None),
            };
            let mut queue = before.clone();
            wanted.retain(|wanted| !wanted.answer.is_closed());
            let mut changes = Vec::with_capacity(wanted.len());
            for wanted in &*wanted {
                changes.push(match wanted.apply(&mut queue, &now, floor) {
                    Ok(outcome) => Ok(Changed {
                        place: outcome.answer,
                        as_of,
                        again: false,
                    }),
                    Err(conflict) if conflict.kind() == ErrorKind::Conflict => Err(conflict),
                    Err(error) => return Err(error),
                });
            }
            let may_stay = is_loaded && !wanted.iter().any(|wanted| wanted.unsure);
            if may_stay && queue == before {
                return Ok(changes);
            }
            let swap = self.store.store(&self.name, &queue, version.as_ref(), by);
            if let Swap::Stored(version) = swap.await? {
                *remembered = queue.is_all_of(owner).then_some((queue, version));
                return Ok(changes);
            }
            if by.remaining().is_zero() {
                return Err(unfinished());
            }
        }
    }
}

impl Wanted {
    fn apply(&self, queue: &mut LockQueue, now: &StoreTime, floor: u64) -> Result<Outcome<Place>> {
        let request = &self.request;
        match self.verb {
            Verb::Enter { wait } => queue.enter(request, wait, now, floor),
            Verb::Renew => queue.renew(request.id, now, floor),
            Verb::Leave => queue.leave(request.id, now, floor),
        }
    }
}

fn unfinished() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "others kept changing the record, or it took too long; whether it was changed is not known",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Drop for Record<S> {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        // Another may have taken its place already.
        if table
            .get(&self.name)
            .is_some_and(|record| record.strong_count() == 0)
        {
            table.remove(&self.name);
        }
    }
}

impl<S> Clone for Records<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Default for Records<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> fmt::Debug for Records<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("names", &lock(&self.0).len())
            .finish()
    }
}
