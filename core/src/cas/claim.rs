use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::CasStore;
use super::record::{Changed, Record, Verb};
use crate::backend::{Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal};
use crate::clock::{Deadline, Moment};
use crate::error::Result;
use crate::queue::Place;

/// How often a waiter looks where the store cannot tell it of changes: fifty times in a TTL, within
/// bounds.
const POLLS_PER_TTL: u32 = 50;
const POLL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(250);

/// A claim on a [`CasStore`].
pub(super) struct CasClaim<S> {
    record: Arc<Record<S>>,
    request: Arc<ClaimRequest>,
    subscription: Option<Subscription>,
    /// When the entry's expiry was last known to be set anew. `None`: not known.
    refreshed: Option<Moment>,
    /// Whether the latest change is not known to have been made, or not.
    unsure: bool,
    /// The number of the grant that the engine knows of.
    granted: Option<u64>,
}

/// How a waiting claim learns of changes.
enum Subscription {
    Told {
        _until_dropped: Box<dyn Send + Sync>,
    },
    Polls,
}

impl<S: CasStore> CasClaim<S> {
    pub(super) fn new(record: Arc<Record<S>>, request: ClaimRequest) -> Self {
        Self {
            record,
            request: Arc::new(request),
            subscription: None,
            refreshed: None,
            unsure: false,
            granted: None,
        }
    }

    fn subscribe(&self) -> Subscription {
        let signals = self.request.signals.clone();
        match self.record.store.subscribe(&self.request.name, signals) {
            Some(handle) => Subscription::Told {
                _until_dropped: handle,
            },
            None => Subscription::Polls,
        }
    }

    /// Where the claim stands, if that can be told without writing: its place was refreshed a short
    /// while ago and no expired entry has to go. Otherwise each look of each waiter would wake all
    /// others.
    async fn look(&self, by: Deadline) -> Result<Option<Changed>> {
        let fresh = self.request.ttl.get() / 4;
        let Some(as_of) = self.refreshed.filter(|at| at.elapsed() < fresh) else {
            return Ok(None);
        };
        let store = &self.record.store;
        let Some((queue, _)) = store.load(&self.request.name, by).await? else {
            return Ok(None);
        };
        let now = store.now()?;
        let place = queue.place(self.request.id, &now);
        let stands = place != Place::Absent && !queue.has_expired(&now);
        let again = false;
        Ok(stands.then_some(Changed {
            place,
            as_of,
            again,
        }))
    }

    async fn enter(&mut self, wait: bool, by: Deadline) -> Result<Changed> {
        if wait && let Some(seen) = self.look(by).await? {
            return Ok(seen);
        }
        // Until the store has answered, it is not known what the entry's expiry counts from.
        self.refreshed = None;
        let changed = self.change(Verb::Enter { wait }, by).await?;
        self.refreshed = Some(changed.as_of);
        Ok(changed)
    }

    async fn change(&mut self, verb: Verb, by: Deadline) -> Result<Changed> {
        let unsure = std::mem::replace(&mut self.unsure, true);
        let result = self.record.change(verb, &self.request, unsure, by).await;
        self.unsure = result.is_err();
        result
    }
}

#[async_trait]
impl<S: CasStore> Claim for CasClaim<S> {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let ttl = self.request.ttl.get();
        let wait = !patience.has_ended();
        if wait && self.subscription.is_none() {
            self.subscription = Some(self.subscribe());
        }
        let Changed { place, as_of, .. } = self.enter(wait, patience.deadline()).await?;
        Ok(match place {
            Place::Held { number } => {
                self.subscription = None;
                self.granted = Some(number);
                Attempt::Held(Hold::new(number, ttl, as_of))
            }
            Place::Waiting { recheck } => {
                // The place is to be refreshed in time, also where it was looked at meanwhile.
                let refresh = (ttl / 3).saturating_sub(as_of.elapsed());
                let poll = match self.subscription {
                    Some(Subscription::Told { .. }) => refresh,
                    _ => (ttl / POLLS_PER_TTL).clamp(*POLL.start(), *POLL.end()),
                };
                Attempt::Blocked(Blocked::recheck(recheck.min(refresh).min(poll)))
            }
            Place::Absent => Attempt::Blocked(Blocked::default()),
        })
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let Changed { place, as_of, .. } = self.change(Verb::Renew, by).await?;
        Ok(match place {
            Place::Held { number } if self.granted == Some(number) => Renewal::Extended(as_of),
            // Of another number, it is another hold: the record was lost, and a request that came
            // late made the claim anew.
            _ => Renewal::Lost,
        })
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.subscription = None;
        self.refreshed = None;
        let changed = self.change(Verb::Leave, by).await?;
        Ok(match changed.place {
            Place::Held { .. } => Released::Held,
            // Most likely it is this release that has made an end of it.
            _ if changed.again => Released::Held,
            _ => Released::NotHeld,
        })
    }
}

impl<S> fmt::Debug for CasClaim<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CasClaim")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
