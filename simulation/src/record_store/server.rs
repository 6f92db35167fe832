use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use distlock_core::backend::Signals;
use distlock_core::queue::{LockQueue, StoreTime};
use fastrand::Rng;

use super::line::Line;
use super::request::{Asks, Reply, Request};
use crate::bug::Bug;
use crate::event::{ClaimId, What};
use crate::plan::Plan;
use crate::server::{self, FOR_NOTHING, Hint, Server};

type Done = server::Done<Reply>;

/// The store: it compares and swaps, and knows nothing of what it keeps. What has happened in a
/// record is told from what has changed in it.
#[derive(Debug)]
pub(crate) struct RecordServer {
    bug: Option<Bug>,
    /// How fast its clock runs.
    rate: f64,
    names: Vec<Named>,
    /// The latest version there was.
    version: u64,
    answered: HashMap<String, Reply>,
    /// The claims whose clients want them to go.
    leaving: BTreeSet<ClaimId>,
}

#[derive(Debug, Default)]
struct Named {
    record: Option<(LockQueue, u64)>,
    /// When the record was last lost, by the store's clock in microseconds.
    lost: u64,
    listeners: Vec<Listener>,
}

/// Who is told of changes.
#[derive(Debug)]
struct Listener {
    client: usize,
    signals: Signals,
    /// Gone when nobody wants to be told any more.
    subscription: Weak<()>,
}

impl RecordServer {
    pub(crate) fn new(plan: &Plan, bug: Option<Bug>) -> Self {
        Self {
            bug,
            rate: plan.server_rate,
            names: (0..plan.names).map(|_| Named::default()).collect(),
            version: 0,
            answered: HashMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    /// From now on changes of the name are told to these signals, for as long as what is returned
    /// is kept.
    pub(super) fn listen(&mut self, client: usize, name: usize, signals: Signals) -> Arc<()> {
        let subscription = Arc::new(());
        self.names[name].listeners.push(Listener {
            client,
            signals,
            subscription: Arc::downgrade(&subscription),
        });
        subscription
    }

    /// From now on its client wants this claim to go.
    pub(super) fn note_leaving(&mut self, claim: ClaimId) {
        self.leaving.insert(claim);
    }

    /// Whether the claim stands in a record.
    pub(super) fn shows(&self, claim: ClaimId) -> bool {
        let records = self.names.iter().filter_map(|named| named.record.as_ref());
        let mut lines = records.map(|(queue, _)| Line::of(queue));
        lines.any(|line| line.shows(claim))
    }

    fn swap(
        &mut self,
        client: Option<usize>,
        name: usize,
        record: Option<LockQueue>,
        made: &StoreTime,
        done: &mut Done,
    ) -> u64 {
        self.version += 1;
        let record = record.map(|queue| as_it_is_read(&queue));
        let version = match (self.bug, &record) {
            (Some(Bug::VersionComesBack), Some(queue)) => hash_of(&queue.to_json()),
            _ => self.version,
        };
        let (new, old) = {
            let named = &mut self.names[name];
            let new = record.as_ref().map(Line::of).unwrap_or_default();
            let record = record.map(|queue| (queue, version));
            let old = std::mem::replace(&mut named.record, record);
            (
                new,
                old.map(|(queue, _)| Line::of(&queue)).unwrap_or_default(),
            )
        };
        let is_leaving =
            |claim: ClaimId| client == Some(claim.client) && self.leaving.contains(&claim);
        let made_at = Duration::from_micros(made.micros()).div_f64(self.rate);
        done.happened.push(What::Swapped {
            name,
            made: made_at,
        });
        done.happened
            .extend(old.change_to(&new, name, made, is_leaving));
        self.tell_listeners(name, done);
        version
    }

    fn tell_listeners(&mut self, name: usize, done: &mut Done) {
        let listeners = &mut self.names[name].listeners;
        listeners.retain(|listener| listener.subscription.strong_count() > 0);
        if self.bug != Some(Bug::NeverWakes) {
            done.hints
                .extend(listeners.iter().map(|listener| listener.hint(name)));
        }
    }
}

impl Server for RecordServer {
    type Request = Request;
    type Reply = Reply;

    fn serve(&mut self, ticket: u64, request: &Request, _: &StoreTime) -> Done {
        let mut done = Done::default();
        let label = request.to_string();
        if let Some(reply) = self.answered.get(&label) {
            done.replies.push((ticket, reply.clone()));
            return done;
        }
        let Request { client, name, .. } = *request;
        let stands = &self.names[name].record;
        let reply = match &request.asks {
            Asks::Load => Reply::Record(stands.clone()),
            Asks::Swap {
                queue,
                expected,
                made,
            } => {
                // That there is no record is never true of the same time again either.
                let is_stale = stands.as_ref().map(|(_, version)| *version) != *expected
                    || expected.is_none() && made.micros() < self.names[name].lost;
                if is_stale && self.bug != Some(Bug::SwapsBlindly) {
                    Reply::Stale
                } else if self.bug == Some(Bug::SwapIsLost) && self.version % 8 == 7 {
                    self.version += 1;
                    Reply::Stored {
                        version: self.version,
                    }
                } else {
                    let queue = Some(queue.clone());
                    let version = self.swap(Some(client), name, queue, made, &mut done);
                    Reply::Stored { version }
                }
            }
        };
        self.answered.insert(label, reply.clone());
        done.replies.push((ticket, reply));
        done
    }

    fn expire(&mut self, now: &StoreTime) -> Done {
        let mut done = Done::default();
        for name in 0..self.names.len() {
            let record = self.names[name].record.clone();
            if let Some((mut queue, _)) = record
                && queue.has_expired(now)
                && queue.expire(now, now.micros() + 1).is_ok()
            {
                self.swap(None, name, Some(queue), now, &mut done);
            }
        }
        done
    }

    fn forget(&mut self, name: Option<usize>, now: &StoreTime) -> Done {
        let mut done = Done::default();
        for name in name.map_or(0..self.names.len(), |name| name..name + 1) {
            done.happened.push(What::Forgot { name });
            self.names[name].lost = now.micros();
            self.swap(None, name, None, now, &mut done);
        }
        done
    }

    /// Entries expire by what is written in their record, to which a restart does nothing.
    fn restart_ttls(&mut self, _: &StoreTime) -> Done {
        Done::default()
    }

    fn backing(&self, name: usize, number: u64, now: &StoreTime) -> Duration {
        let record = self.names[name].record.as_ref();
        let holders = record.map(|(queue, _)| queue.state(now).holders);
        let mut holders = holders.into_iter().flatten();
        holders
            .find(|holder| holder.token.is_some_and(|token| token.number() == number))
            .and_then(|holder| holder.expires_in)
            .unwrap_or_default()
    }

    fn entries(&self, name: usize) -> usize {
        let record = self.names[name].record.as_ref();
        record.map_or(0, |(queue, _)| Line::of(queue).len())
    }

    fn false_hint(&self, rng: &mut Rng) -> Option<Hint> {
        let name = rng.usize(0..self.names.len());
        let mut hint = rng.choice(&self.names[name].listeners)?.hint(name);
        hint.label = format!("{} {FOR_NOTHING}", hint.label);
        Some(hint)
    }
}

impl Listener {
    fn hint(&self, name: usize) -> Hint {
        let (signals, subscription) = (self.signals.clone(), Weak::clone(&self.subscription));
        Hint {
            client: self.client,
            label: format!("{name} changed"),
            gone: None,
            arrive: Arc::new(move || {
                if subscription.strong_count() > 0 {
                    signals.look();
                }
            }),
        }
    }
}

/// The record as those find it who load it: it is kept in writing.
///
/// # Panics
/// If it contradicts itself, so that it cannot be read.
fn as_it_is_read(queue: &LockQueue) -> LockQueue {
    LockQueue::from_json(queue.to_json()).expect("a record that can be read")
}

fn hash_of(record: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}
