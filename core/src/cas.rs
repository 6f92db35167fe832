//! [`CasStore`]: any store that can compare and swap a record becomes a [`Backend`].

mod claim;
mod record;
#[cfg(all(test, shuttle))]
mod schedules;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::backend::{Backend, Claim, ClaimRequest, Signals};
use crate::capability::Capabilities;
use crate::clock::Deadline;
use crate::error::Result;
use crate::name::Name;
use crate::queue::{LockQueue, StoreTime, wall_clock_floor};
use crate::state::LockState;

use claim::CasClaim;
use record::Records;

/// A store that keeps one record a name and replaces it only if it is still the one that was read.
///
/// This is all that a lock needs: [`CasBackend`] turns it into a [`Backend`] by running a
/// [`LockQueue`] in a loop of load, change, swap.
///
/// # Obligations
/// * `load` and `store` of a name are linearizable: a `load` that begins after a `store` has been
///   answered sees that record or a later one, and of two `store`s that expect the same version one
///   is `Stale`.
/// * A version never comes back, not even after the record was deleted and made anew; nor does that
///   there is none, for a `store` that was sent before the record was deleted.
/// * A record that was answered as stored survives the death of any client.
/// * Every request is answered by its deadline ([`Deadline::bound`]). An error means that the
///   outcome is not known. No retries inside.
/// * Records may be deleted once [`LockQueue::is_forgettable`] says so.
#[async_trait]
pub trait CasStore: fmt::Debug + Send + Sync + 'static {
    /// What the store can do. The same at every call.
    fn capabilities(&self) -> &Capabilities;

    /// The record of a name, or `None` if there is none.
    ///
    /// # Errors
    /// `Unavailable` if the store did not answer; what [`LockQueue::from_json`] says of a damaged
    /// record.
    async fn load(&self, name: &Name, by: Deadline) -> Result<Option<(LockQueue, Version)>>;

    /// Replaces the record if its version is `expected` (`None`: if there is none).
    ///
    /// # Errors
    /// Any error means that the record may have been stored, or not.
    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap>;

    /// The time by which entries expire: one clock for all contenders that nobody steps.
    ///
    /// # Errors
    /// Any, if the clock cannot be read.
    fn now(&self) -> Result<StoreTime>;

    /// The least number of the next grant: the wall clock in microseconds, as by default, or more.
    /// A store that declares `Fencing::Strict` keeps it, for a name without a record, above every
    /// number that the name was ever given. It is asked for after `load`.
    fn floor(&self) -> u64 {
        wall_clock_floor()
    }

    /// Has every change of the name's record told to `signals` ([`Signals::look`]) until the
    /// returned handle drops. A store that cannot tell returns `None`, as the default does; then
    /// waiters poll.
    fn subscribe(&self, _name: &Name, _signals: Signals) -> Option<Box<dyn Send + Sync>> {
        None
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: CasStore + ?Sized> CasStore for Arc<S> {
    fn capabilities(&self) -> &Capabilities {
        (**self).capabilities()
    }

    async fn load(&self, name: &Name, by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        (**self).load(name, by).await
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap> {
        (**self).store(name, queue, expected, by).await
    }

    fn now(&self) -> Result<StoreTime> {
        (**self).now()
    }

    fn floor(&self) -> u64 {
        (**self).floor()
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        (**self).subscribe(name, signals)
    }
}

/// Which state of a record this is: whatever the store compares (a counter, an ETag).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// The version that the store writes so.
    pub fn new(version: impl Into<Arc<str>>) -> Self {
        Self(version.into())
    }

    /// As the store writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What became of a [`CasStore::store`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Swap {
    /// The record is stored, and this is its version.
    Stored(Version),
    /// Another record stood there; nothing was changed.
    Stale,
}

/// The [`Backend`] over a [`CasStore`].
#[derive(Debug)]
pub struct CasBackend<S> {
    store: Arc<S>,
    records: Records<S>,
}

impl<S: CasStore> CasBackend<S> {
    /// A backend over this store. Several may share a store, by an `Arc`; clones share more: what
    /// their claims of one name do at the same time is done together.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            records: Records::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl<S> Clone for CasBackend<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            records: self.records.clone(),
        }
    }
}

#[async_trait]
impl<S: CasStore> Backend for CasBackend<S> {
    fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let record = self.records.of(&request.name, &self.store);
        Ok(Box::new(CasClaim::new(record, request)))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let record = self.store.load(name, by).await?;
        let now = self.store.now()?;
        Ok(record
            .map(|(queue, _)| queue.state(&now))
            .unwrap_or_default())
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        self.store.subscribe(name, signals)
    }
}
