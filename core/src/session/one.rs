use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::{Alive, Beat, Opened, SessionStore};
use crate::backend::Signals;
use crate::clock::{Deadline, Moment};
use crate::error::{Error, Result};

/// One session of a client with its store, and the claims under it.
///
/// It is kept alive by those who use it, and given up once it has not been confirmed for its TTL:
/// then it is *condemned*, and with it all its claims.
pub struct Session<S: SessionStore> {
    store: Arc<S>,
    handle: S::Handle,
    ttl: Duration,
    slack: Duration,
    state: Mutex<State>,
    /// Had by whoever makes a heartbeat. In it, how the latest failed, if it did.
    beating: tokio::sync::Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct State {
    as_of: Moment,
    /// When the server may last have heard of it, be it that the answer was lost.
    heard: Moment,
    phase: Phase,
    members: BTreeMap<u128, Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Alive,
    /// Not confirmed in time: never kept alive again, and not known to have ended.
    Condemned,
    /// By the server's word, or because it cannot live any more.
    Ended,
}

/// What is known of a claim under the session.
#[derive(Debug)]
struct Standing {
    signals: Signals,
    shown: Shown,
}

/// What the server is known to show of a claim, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It may show an entry, or not.
    Unknown,
    /// A place in line.
    Place(Moment),
    Hold(Moment),
}

#[derive(Debug)]
struct Failure {
    at: Moment,
    error: Error,
}

impl<S: SessionStore> Session<S> {
    /// Opens one. `slack` is how long past its TTL the server may keep it.
    ///
    /// # Errors
    /// Those of [`SessionStore::open`].
    pub async fn open(
        store: &Arc<S>,
        ttl: Duration,
        slack: Duration,
        by: Deadline,
    ) -> Result<Arc<Self>> {
        Ok(Self::opened(store, store.open(ttl, by).await?, slack))
    }

    pub(super) fn opened(
        store: &Arc<S>,
        Opened { handle, ttl, as_of }: Opened<S::Handle>,
        slack: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            handle,
            ttl,
            slack,
            state: Mutex::new(State {
                as_of,
                heard: Moment::now(),
                phase: Phase::Alive,
                members: BTreeMap::new(),
            }),
            beating: tokio::sync::Mutex::default(),
        })
    }

    /// What requests name it by.
    pub fn handle(&self) -> &S::Handle {
        &self.handle
    }

    /// The TTL in force.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether it can be relied upon. If it has not been confirmed for its TTL, that condemns it.
    pub fn is_alive(&self) -> bool {
        self.phase() == Phase::Alive
    }

    /// The server has answered, under the session, what was sent then: its TTL counts from there. If
    /// that comes too late, nothing: the claims have been told that it is over.
    pub fn has_answered(&self, sent: Moment) {
        if self.is_alive() {
            self.confirm(sent);
        }
    }

    /// The server has said that it is no more.
    pub fn has_ended(&self) {
        self.give_up(Phase::Ended);
    }

    /// Ends it on the server, and everything under it.
    ///
    /// # Errors
    /// `Unavailable` if it is not known whether it has ended, and it may still live.
    pub async fn end(&self, by: Deadline) -> Result<()> {
        self.give_up(Phase::Condemned);
        if self.phase() == Phase::Ended {
            return Ok(());
        }
        let result = self.store.end(&self.handle, by).await;
        // Nobody keeps it alive any more, so the server ends it by itself.
        let heard = self.state().heard;
        if result.is_ok() || heard.elapsed() > self.ttl + self.slack {
            self.give_up(Phase::Ended);
            return Ok(());
        }
        result
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state().members.is_empty()
    }

    /// The moment from which its TTL counts, which is to be `enough`; kept alive anew if it is not.
    /// `None` if it is not alive any more.
    pub(super) async fn kept(
        &self,
        enough: impl Fn(Moment) -> bool + Send + Sync,
        by: Deadline,
    ) -> Result<Option<Moment>> {
        let is_settled = || self.confirmed().is_none_or(&enough);
        if !is_settled() {
            // Whoever beats may have more time for a server that hangs, or its runtime is blocked.
            // Two beats at a time do no harm.
            let turn = timeout(by.remaining() / 2, self.beating.lock()).await;
            if !is_settled() {
                match turn {
                    Ok(mut failed) => self.beat_in_turn(&mut failed, by).await?,
                    Err(_) => self.beat(by).await?,
                }
            }
        }
        Ok(self.confirmed())
    }

    /// From when its TTL counts, if it is alive.
    fn confirmed(&self) -> Option<Moment> {
        self.is_alive().then(|| self.as_of())
    }

    /// A thousand claims do not ask a server that has just failed a thousand times.
    async fn beat_in_turn(&self, failed: &mut Option<Failure>, by: Deadline) -> Result<()> {
        if let Some(Failure { at, error }) = failed
            && at.elapsed() < self.ttl / 50
        {
            return Err(error.clone());
        }
        let at = Moment::now();
        let beat = self.beat(by).await;
        *failed = beat.as_ref().err().map(|error| Failure {
            at,
            error: error.clone(),
        });
        beat
    }

    async fn beat(&self, by: Deadline) -> Result<()> {
        let sent = Moment::now();
        let beat = self.store.beat(&self.handle, by).await;
        self.state().heard = Moment::now();
        match beat? {
            Beat::Ended => self.has_ended(),
            Beat::Alive(Alive { as_of, entries }) => {
                self.has_answered(as_of);
                if let Some(entries) = entries {
                    self.reconcile(sent, entries, by).await;
                }
            }
        }
        Ok(())
    }

    /// Makes what the server shows, and what is known here, the same.
    async fn reconcile(&self, sent: Moment, entries: Vec<u128>, by: Deadline) {
        let shown = entries.into_iter().collect();
        for (signals, was) in self.missing(sent, &shown) {
            match was {
                Shown::Hold(_) => signals.gone(),
                _ => signals.look(),
            }
        }
        let strangers = self.strangers(shown);
        if !strangers.is_empty() {
            // What is left is found again at the next beat.
            drop(self.store.remove(&self.handle, &strangers, by).await);
        }
    }

    /// The claims that the server has shown before that moment, and does not show now, and what it
    /// showed. Whoever waited is to look.
    fn missing(&self, sent: Moment, shown: &BTreeSet<u128>) -> Vec<(Signals, Shown)> {
        let mut state = self.state();
        let members = state.members.iter_mut();
        let missing = members.filter(|(entry, standing)| match standing.shown {
            Shown::Unknown => false,
            Shown::Place(since) | Shown::Hold(since) => since < sent && !shown.contains(entry),
        });
        let told = missing.map(|(_, standing)| {
            let was = standing.shown;
            if let Shown::Place(_) = was {
                standing.shown = Shown::Unknown;
            }
            (standing.signals.clone(), was)
        });
        told.collect()
    }

    /// The entries that no claim here is answerable for.
    fn strangers(&self, mut shown: BTreeSet<u128>) -> Vec<u128> {
        let state = self.state();
        shown.retain(|entry| !state.members.contains_key(entry));
        shown.into_iter().collect()
    }

    fn confirm(&self, as_of: Moment) {
        let mut state = self.state();
        state.as_of = state.as_of.max(as_of);
    }

    pub(super) fn as_of(&self) -> Moment {
        self.state().as_of
    }

    pub(super) fn enlist(&self, entry: u128, signals: Signals) {
        let standing = Standing {
            signals,
            shown: Shown::Unknown,
        };
        self.state().members.insert(entry, standing);
    }

    pub(super) fn dismiss(&self, entry: u128) {
        self.state().members.remove(&entry);
    }

    /// Notes what the server shows of this entry.
    pub(super) fn shows(&self, entry: u128, shown: Shown) {
        if let Some(standing) = self.state().members.get_mut(&entry) {
            standing.shown = shown;
        }
    }

    /// What the server shows of this entry.
    pub(super) fn shown(&self, entry: u128) -> Shown {
        let state = self.state();
        let standing = state.members.get(&entry);
        standing.map_or(Shown::Unknown, |standing| standing.shown)
    }

    fn phase(&self) -> Phase {
        let state = self.state();
        let lapsed = state.phase == Phase::Alive && state.as_of.elapsed() >= self.ttl;
        let phase = state.phase;
        drop(state);
        if !lapsed {
            return phase;
        }
        self.give_up(Phase::Condemned);
        Phase::Condemned
    }

    /// Tells all claims, once, that the session is over.
    fn give_up(&self, phase: Phase) {
        let mut state = self.state();
        let was_alive = state.phase == Phase::Alive;
        if state.phase != Phase::Ended {
            state.phase = phase;
        }
        let members = state.members.values();
        let told: Vec<_> = members.map(|standing| standing.signals.clone()).collect();
        drop(state);
        if was_alive {
            told.iter().for_each(Signals::gone);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: SessionStore> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.handle)
            .field("ttl", &self.ttl)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
