//! The seam between the engine and a store, for those who write stores.
//!
//! A [`Backend`] says *how to ask* a store; the engine says *when*. Waiting, renewal, the validity
//! clock, loss, lost replies, cancellation, time limits, the local line, backoff, tracing, release
//! and drop are written once, in the engine. A backend that keeps the obligations on [`Backend`]
//! and [`Claim`] gets all of them right, and cannot break them.
//!
//! A store that can do no more than compare-and-swap a record needs only a
//! [`CasStore`](crate::CasStore).

mod patience;
mod signals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::capability::Capabilities;
use crate::clock::{Deadline, Moment};
use crate::error::Result;
use crate::mode::Mode;
use crate::name::Name;
use crate::state::LockState;
use crate::ttl::Ttl;

pub use patience::{EndPatience, Patience};
pub use signals::{Listener, Signals};
pub(crate) use signals::{SignalState, Watched};

/// A client of one store: makes claims, and tells who holds what.
///
/// # Obligations
/// What the engine relies on, for this trait and for [`Claim`]. The conformance suite checks them.
///
/// 1. **Identity first.** [`claim`](Self::claim) sends nothing. The id of a claim is fixed before
///    its first request leaves, and nothing but that id tells the store whose entry it is. Two
///    claims of one client are as foreign to each other as those of two.
/// 2. **Asking again is safe.** [`Claim::attempt`] joins the line if the claim is not in it,
///    refreshes a place that expires, *arms its hint before it looks*, then looks; if it finds
///    itself in possession, that is [`Attempt::Held`]. After a lost reply the same call is the way
///    to find out.
/// 3. **A try leaves no trace.** When patience has ended already ([`Patience::has_ended`]), an
///    attempt that finds the name held leaves no place in line behind, and does not make another
///    try fail on a free lock.
/// 4. **Waiting on the server ends in order.** A store whose server does the waiting does so inside
///    `attempt` until [`Patience::ended`], then cancels, reads the outcome, and reports what it
///    found. The caller has been answered long before.
/// 5. **Validity is dated from before.** [`Hold::as_of`] is not later than the instant from which
///    the store counts the TTL: take [`Moment::now`] before sending, never when the answer arrives.
///    It belongs to the last request of this claim (or of its session) that the store answered *and
///    that refreshed the entry*. Every `attempt` and `renew` that the store answers either
///    refreshes the entry or reports the `as_of` of the last one that did.
/// 6. **Lost only when sure.** [`Claim::renew`] says [`Renewal::Lost`] only if the store says that
///    the hold is gone: the one of that number, since the claim may have been made anew, by a
///    request that came late to a store that had lost its data. It never makes a hold anew itself.
///    Not knowing is an `Unavailable` error, and the clock decides.
/// 7. **Release is idempotent**, frees only its own claim however late it comes, withdraws a place
///    in line as well as a hold, and works after an attempt whose outcome is not known.
/// 8. **Every request is answered by its deadline**: put [`Deadline::bound`] around each. The
///    engine never drops the future of a claim, so one that hangs hangs its claim.
/// 9. **Sessions that many claims share** (`Expiry::PerSession`): once a session's local validity
///    has lapsed it is never kept alive again, it is ended on the server, and all its claims are
///    lost together; `release` of a claim whose session has ended is `NotHeld`. What the server
///    holds for a session beyond its live claims is removed. [`session`](crate::session) does this.
/// 10. **No retries, no logging, no timers** beyond client time-outs and a session's heartbeat:
///     those are the engine's.
///
/// Errors carry the kind that tells the caller what to do. The engine makes an attempt again after
/// `Unavailable`, and any other kind ends the acquisition; it asks again for a renewal or a release
/// whatever the kind.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// What the store can do. The same at every call.
    fn capabilities(&self) -> &Capabilities;

    /// Names a new contender. Checks what only this store can check; sends nothing.
    ///
    /// # Errors
    /// `InvalidInput` or `Unsupported` if this store cannot take such a claim.
    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>>;

    /// Who holds the name and who waits, in order. What the store cannot know is `None`.
    ///
    /// # Errors
    /// `Unavailable` if the store does not answer by the deadline.
    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState>;

    /// Has changes of `name` told to `signals` ([`Signals::look`]) until the returned handle drops.
    /// A store that cannot tell returns `None`, as the default does; then the engine polls.
    fn subscribe(&self, _name: &Name, _signals: Signals) -> Option<Box<dyn Send + Sync>> {
        None
    }

    /// Called when a [`Locks`](crate::Locks) over this backend has ended; none of its claims is
    /// alive. For a session to be ended in order, say. Where a backend can be cloned or shared,
    /// other `Locks` may still use it: it closes only what those cannot need.
    async fn close(&self, _by: Deadline) {}
}

/// One contender for one name, under one id, from its first request to its release.
///
/// The engine calls one method at a time, awaits each to its end, and calls
/// [`release`](Self::release) until that succeeds or the claim can no longer be alive. See
/// [`Backend`] for the obligations.
#[async_trait]
pub trait Claim: fmt::Debug + Send + 'static {
    /// Takes a place in line if this claim has none, and asks once for the lock.
    ///
    /// # Errors
    /// `Unavailable` if the outcome is not known; the engine asks again. `Conflict` if the name is
    /// in use in another way. Any other kind ends the acquisition.
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt>;

    /// Extends a hold by its TTL. Called only on a claim whose last attempt was [`Attempt::Held`].
    ///
    /// # Errors
    /// Any error means that the outcome is not known; the engine asks again while the hold lasts.
    async fn renew(&mut self, by: Deadline) -> Result<Renewal>;

    /// Ends the claim: a hold or a place in line, whichever there is.
    ///
    /// # Errors
    /// Any error means that the outcome is not known; the engine asks again.
    async fn release(&mut self, by: Deadline) -> Result<Released>;
}

/// What a new claim asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The claim's id: random, never used again.
    pub id: u128,
    /// Whose claim it is: one random id for all claims of one [`Locks`](crate::Locks).
    pub owner: Arc<str>,
    /// What is to be locked.
    pub name: Name,
    /// How.
    pub mode: Mode,
    /// How long the store keeps it without hearing from its client.
    pub ttl: Ttl,
    /// What `inspect` shows of it.
    pub label: Arc<str>,
    /// Where the backend tells the engine what it learns unasked.
    pub signals: Signals,
}

impl ClaimRequest {
    /// A claim as the engine makes it, for tests of a backend that ask it directly: with an id, and
    /// an owner, of its own, and nobody listening to its signals.
    pub fn new(name: Name, mode: Mode, ttl: Ttl) -> Self {
        Self {
            id: new_id(),
            owner: format!("{:032x}", new_id()).into(),
            name,
            mode,
            ttl,
            label: "".into(),
            signals: Signals::ignored(),
        }
    }
}

/// A random id that no other claim or owner has.
pub(crate) fn new_id() -> u128 {
    uuid::Uuid::new_v4().as_u128()
}

/// What an attempt found.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Attempt {
    /// The claim holds the name.
    Held(Hold),
    /// Somebody else does, or stands before it.
    Blocked(Blocked),
}

/// What a granted claim has.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hold {
    /// The store's number of the grant: greater than that of any earlier grant of the name.
    pub number: u64,
    /// The TTL in force, which a store with a coarse step may have rounded down.
    pub ttl: Duration,
    /// From when the TTL counts; see obligation 5 of [`Backend`].
    pub as_of: Moment,
}

impl Hold {
    /// A hold of this number, for this long, from this moment.
    pub fn new(number: u64, ttl: Duration, as_of: Moment) -> Self {
        Self { number, ttl, as_of }
    }
}

/// What is known while a claim is not granted.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Blocked {
    /// When to ask again even if nothing is told: when the entry in the way would expire, or, for a
    /// store that never tells, its polling interval. `None`: when the own place needs its refresh.
    pub recheck: Option<Duration>,
}

impl Blocked {
    /// Blocked; worth asking again after `recheck`.
    pub fn recheck(recheck: Duration) -> Self {
        Self {
            recheck: Some(recheck),
        }
    }
}

/// What a renewal found.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Renewal {
    /// The hold goes on; its TTL counts from this moment.
    Extended(Moment),
    /// The store says that the hold is gone.
    Lost,
}

/// What a release found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// The claim held the name until now.
    Held,
    /// It did not, or no more.
    NotHeld,
}

macro_rules! delegate_backend {
    ($($pointer:ident),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<B: Backend + ?Sized> Backend for $pointer<B> {
            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }
            fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
                (**self).claim(request)
            }
            async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
                (**self).inspect(name, by).await
            }
            fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
                (**self).subscribe(name, signals)
            }
            async fn close(&self, by: Deadline) {
                (**self).close(by).await;
            }
        }
    )*};
}

delegate_backend!(Arc, Box);
