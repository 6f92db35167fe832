use std::time::Duration;

use distlock_core::Mode;
use serde::{Deserialize, Serialize};

use super::nanos;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "recorders and tests write them out"
)]
pub struct Event {
    /// When, by a clock that all who record share: that of [`now`](super::now). What is asked is
    /// stamped before it is asked, what is answered after the answer.
    #[serde(with = "nanos")]
    pub at: Duration,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
///
/// A client is one `Locks` of one process; when that is started again, it is another. An operation
/// is one acquisition, with all that is done with its guard. Both have numbers of their own over
/// the whole history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "named for what they say")]
pub enum What {
    /// A client is there.
    Started { client: u32 },
    /// It asks for a lock. The TTL is the one in force.
    Invoked {
        op: u64,
        client: u32,
        name: String,
        mode: Mode,
        wish: Wish,
        #[serde(with = "nanos")]
        ttl: Duration,
    },
    /// It has it. `valid_for` was read after the stamp was taken, so at the stamp the guard was
    /// valid for at least that long.
    Granted {
        op: u64,
        token: u64,
        #[serde(with = "nanos")]
        valid_for: Duration,
    },
    /// A try found the lock taken.
    Refused { op: u64 },
    /// The time limit passed.
    TimedOut { op: u64 },
    /// It failed, with what outcome is not known.
    Failed { op: u64, error: String },
    /// The client gave it up before it was answered.
    Abandoned { op: u64 },

    /// The guard counts itself valid for so much longer, as read after the stamp.
    Valid {
        op: u64,
        #[serde(with = "nanos")]
        valid_for: Duration,
    },
    /// The guard was seen not to be valid any more, and its user has not been told.
    Over { op: u64 },
    /// Its user is told that it is lost; `revoked` if the store said so, and not the clock.
    Lost { op: u64, revoked: bool },
    /// It reached the `max_hold` that it was asked with: its user is told so.
    HeldLongEnough { op: u64 },
    /// Its release begins.
    Releasing { op: u64 },
    /// The store has confirmed that it was held, and is not any more.
    Released { op: u64 },
    /// It was found not to be held any more when it was to be released.
    NotHeld { op: u64 },
    /// Whether it is released is not known.
    ReleaseFailed { op: u64, error: String },
    /// The guard is dropped, which releases it in the background.
    Dropped { op: u64 },

    /// The resource was written to under this token, or refused that.
    Wrote {
        op: u64,
        name: String,
        token: u64,
        accepted: bool,
    },

    /// Nothing of the client runs from about now on, not even its timers. It may be paused twice,
    /// and then has to be resumed twice.
    Paused { client: u32 },
    /// It may run again.
    Resumed { client: u32 },
    /// It is killed, from now on or soon, and cleans nothing up.
    Killed { client: u32 },
    /// It has ended, and all that it had is released.
    Ended { client: u32 },

    /// Something begins to go wrong with the store, or with the way to it.
    FaultBegan {
        fault: u32,
        kind: String,
        target: String,
        effect: Effect,
    },
    /// It goes wrong no more.
    FaultEnded { fault: u32 },

    /// From now on nothing goes wrong.
    Calm,
    /// After everybody has let go of everything, so many are still seen to hold and to wait.
    Left {
        name: String,
        holders: usize,
        waiters: usize,
    },
    /// Everybody has had time enough for what they were to do.
    Done,
}

/// How a lock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wish {
    /// Waits for as long as it takes.
    Wait,
    /// Waits until a time limit.
    Within,
    /// Does not wait.
    Try,
}

/// What a fault does to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// The store is slow, or cannot be reached.
    Disturbs,
    /// Besides, it may forget holds before their TTL has passed.
    Forgets,
    /// Besides, there may be two of it for a while, each with holders that the other does not know:
    /// a server that does not know yet that another has taken its place.
    Splits,
}

impl What {
    /// The operation that it is about.
    #[must_use]
    pub fn op(&self) -> Option<u64> {
        match *self {
            Self::Invoked { op, .. }
            | Self::Granted { op, .. }
            | Self::Refused { op }
            | Self::TimedOut { op }
            | Self::Failed { op, .. }
            | Self::Abandoned { op }
            | Self::Valid { op, .. }
            | Self::Over { op }
            | Self::Lost { op, .. }
            | Self::HeldLongEnough { op }
            | Self::Releasing { op }
            | Self::Released { op }
            | Self::NotHeld { op }
            | Self::ReleaseFailed { op, .. }
            | Self::Dropped { op }
            | Self::Wrote { op, .. } => Some(op),
            _ => None,
        }
    }
}
