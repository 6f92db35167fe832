use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::{ErrorKind, Loss, Mode};

use crate::journey::Journey;
use crate::plan::step::Way;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When, from the beginning of the run.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// A claim in the store: that of a client, by its number there. Where claims stand under sessions,
/// under each it is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named for what they say")]
pub struct ClaimId {
    pub client: usize,
    pub number: usize,
    /// 0 where there are no sessions.
    pub session: u64,
}

/// What can happen in a run. Operations, clients and names are numbered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named for what they say")]
pub enum What {
    /// A client begins an acquisition.
    Asked {
        op: usize,
        client: usize,
        name: usize,
        mode: Mode,
        way: Way,
        max_hold: Option<Duration>,
    },
    /// It got a guard, while these other guards of the name counted themselves valid. Work that
    /// runs under the lock sees no guard, only its number.
    Received {
        op: usize,
        number: u64,
        valid_for: Option<Duration>,
        beside: Vec<usize>,
    },
    /// The name was not free, and it would not wait.
    Busy { op: usize },
    /// It failed.
    Failed { op: usize, kind: ErrorKind },
    /// The client dropped it before it was done.
    Abandoned { op: usize },
    /// The guard's user asked for so much validity, and has so much.
    Ensured {
        op: usize,
        at_least: Duration,
        valid_for: Duration,
    },
    /// The guard's user asked for validity, or had work done under it, and it failed.
    UseFailed { op: usize, kind: ErrorKind },
    /// The guard was given up by its user, while valid or not.
    GivenUp { op: usize, valid: bool },
    /// What its release was said to have come to.
    Released {
        op: usize,
        result: Result<(), ErrorKind>,
    },
    /// The guard's user was told that it is lost.
    LossTold { op: usize, loss: Loss },
    /// The guard's validity ended a while ago and its user has not been told.
    LossUntold { op: usize },
    /// The guard counts itself valid for so much longer than the store keeps its hold.
    Unbacked { op: usize, by: Duration },
    /// A client begins to look at a name.
    Looked {
        op: usize,
        client: usize,
        name: usize,
    },
    /// It saw holders with these numbers.
    Seen { op: usize, holders: Vec<u64> },
    /// A client begins to wait until what it dropped is settled.
    Settling { op: usize, client: usize },
    /// The operation is over, with all that it did with a guard.
    Done { op: usize },

    /// A request sets out.
    Sent {
        client: usize,
        request: Arc<str>,
        journey: Journey,
    },
    /// It came to the store after a later one, or after its sender had gone.
    Ignored { request: Arc<str> },
    /// The reply to a request sets out.
    Replied {
        client: usize,
        request: Arc<str>,
        reply: String,
        journey: Journey,
    },
    /// The store tells a client something unasked, perhaps that the hold of a number is gone.
    Hinted {
        client: usize,
        hint: String,
        gone: Option<(ClaimId, u64)>,
        journey: Journey,
    },
    /// A client asks that its session be kept alive.
    Beat { session: u64 },
    /// A client learns that its session lives, and counts its TTL from then.
    Confirmed { session: u64, as_of: Duration },
    /// A client learns that its session is no more.
    Denied { session: u64 },

    /// A client begins to ask that its claim go, for which it may have to race others.
    Leaving { claim: ClaimId },
    /// The store has replaced a record by one that its client made then: what follows of the name is
    /// what has changed in it.
    Swapped { name: usize, made: Duration },
    /// The store knows the claim.
    Joined {
        claim: ClaimId,
        name: usize,
        mode: Mode,
    },
    /// The store has heard of the claim: its TTL begins anew.
    Refreshed { claim: ClaimId, name: usize },
    /// The store has granted the claim the name.
    Granted {
        claim: ClaimId,
        name: usize,
        number: u64,
    },
    /// The store has done the claim's release, which found it holding or not.
    Left { claim: ClaimId, held: bool },
    /// The claim stands in the store no more.
    Gone { claim: ClaimId, name: usize },
    /// The store has opened a session for a client: its TTL begins.
    Opened { session: u64, client: usize },
    /// The store has heard of the session: its TTL begins anew.
    KeptAlive { session: u64 },
    /// The session has ended, by itself unless that was asked for.
    Ended { session: u64, asked: bool },
    /// The store has lost all it knew of the name.
    Forgot { name: usize },
    /// The store has begun each TTL anew.
    Restarted,

    /// The store does nothing until then.
    ServerPaused { until: Duration },
    /// Nothing reaches the client until then.
    ClientPaused { client: usize, until: Duration },
    /// Nothing passes between the client and the store until then.
    CutOff { client: usize, until: Duration },
    /// The client is no more.
    Crashed { client: usize },

    /// From now on nothing goes wrong that has not yet.
    Healed,
    /// Long after that, the acquisition has not been answered.
    Starved { op: usize },
    /// Long after that, the operation is not over, though it waits for no other holder.
    Hung { op: usize },
    /// The client has let go of everything, and the engine says that this is settled.
    Settled { client: usize },
    /// The engine does not say so, long after.
    Unsettled { client: usize },
    /// All have let go of everything and the store still shows so many of them.
    Residue { name: usize, entries: usize },
}

/// Its session stands in the id where the backends put it.
impl From<ClaimId> for u128 {
    fn from(claim: ClaimId) -> Self {
        let ClaimId {
            client,
            number,
            session,
        } = claim;
        (client as Self) << 96 | Self::from(session) << 64 | number as Self
    }
}

impl From<u128> for ClaimId {
    fn from(id: u128) -> Self {
        // Client and session are small, and the number was a `usize`.
        Self {
            client: (id >> 96) as usize,
            number: id as usize,
            session: (id >> 64) as u64 & 0xffff_ffff,
        }
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.client, self.number)?;
        match self.session {
            0 => Ok(()),
            session => write!(f, "/{session}"),
        }
    }
}

impl fmt::Debug for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10.3} ms  {:?}",
            self.at.as_secs_f64() * 1000.0,
            self.what
        )
    }
}
