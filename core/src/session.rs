//! Sessions that many claims share: what the backends of lease and connection stores have in
//! common.
//!
//! In some stores a claim does not expire by itself. It stands under a session of its client (a
//! lease, a connection), which the client keeps alive, and goes when that ends. The backend of such
//! a store says how to open, keep and end one ([`SessionStore`]); here is written once what makes
//! that safe:
//!
//! * **A ladder of TTLs** ([`Sessions`]): claims of all kinds of TTL share at most eight sessions a
//!   client.
//! * **Condemnation** ([`Session`]): a session that was not confirmed for its TTL is given up, all
//!   claims under it together. It is never kept alive again, whatever answers come late, and it is
//!   ended on the server. Otherwise what a client could not release would live on for as long as
//!   its neighbours are healthy.
//! * **Reconciliation**: what the server shows under a session and no claim here is answerable for
//!   (a request that came late, a claim whose task ended) is removed at the next heartbeat; a claim
//!   that holds and that the server does not show any more is told that it is gone.
//!
//! Nothing here has a timer or a task: the heartbeat is made by the claims that need it, when the
//! engine renews or asks for them, one at a time for all.

mod ladder;
mod member;
mod one;
mod pool;
mod runtimes;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Deadline, Moment};
use crate::error::Result;

pub use ladder::Ladder;
pub use member::Member;
pub use one::Session;
pub use pool::Sessions;
pub use runtimes::PerRuntime;

/// How a client opens, keeps and ends its sessions with one store.
///
/// Every request is answered by its deadline ([`Deadline::bound`]); an error means that its outcome
/// is not known. No retries inside.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// What requests name a session by: the id of a lease, a connection.
    type Handle: fmt::Debug + Send + Sync + 'static;

    /// Opens a session that the server ends once it has not heard of it for `ttl`.
    ///
    /// # Errors
    /// Any. What the server may have opened then ends by itself.
    async fn open(&self, ttl: Duration, by: Deadline) -> Result<Opened<Self::Handle>>;

    /// Keeps it alive for another TTL, and tells what the server shows under it.
    ///
    /// # Errors
    /// `Unavailable` if it is not known whether that was done.
    async fn beat(&self, session: &Self::Handle, by: Deadline) -> Result<Beat>;

    /// Removes these entries, which stand under the session and are nobody's.
    ///
    /// # Errors
    /// Any; those that are left are removed after the next beat.
    async fn remove(&self, session: &Self::Handle, entries: &[u128], by: Deadline) -> Result<()>;

    /// Ends it, and with it all that stands under it; also if the server knows it no more.
    ///
    /// # Errors
    /// `Unavailable` if it is not known whether it has ended.
    async fn end(&self, session: &Self::Handle, by: Deadline) -> Result<()>;
}

/// A session as the server has opened it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<H> {
    /// What requests name it by.
    pub handle: H,
    /// The TTL in force, which the server may have chosen.
    pub ttl: Duration,
    /// From when it counts at the latest: before the request was sent.
    pub as_of: Moment,
}

impl<H> Opened<H> {
    /// A session of this TTL, which counts from then.
    pub fn new(handle: H, ttl: Duration, as_of: Moment) -> Self {
        Self { handle, ttl, as_of }
    }
}

/// What a heartbeat found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Beat {
    /// The session lives.
    Alive(Alive),
    /// The server says that it has ended.
    Ended,
}

/// A session that has been kept alive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Alive {
    /// From when its TTL counts: not later than the moment from which the server counts it.
    pub as_of: Moment,
    /// What stands under it by the server, as it was after the beat was sent. `None`: not asked
    /// this time.
    pub entries: Option<Vec<u128>>,
}

impl Alive {
    /// Kept alive as of then, with these entries under it.
    pub fn new(as_of: Moment, entries: Option<Vec<u128>>) -> Self {
        Self { as_of, entries }
    }
}
