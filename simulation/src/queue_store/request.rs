//! What passes between clients and the store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::Place;
use distlock_core::{Error, LockState};

use crate::event::ClaimId;

/// A claim as its client made it, which each of its requests carries.
#[derive(Debug)]
pub(crate) struct Party {
    pub(super) id: ClaimId,
    pub(super) name: usize,
    pub(super) request: ClaimRequest,
    /// The number of the hold that the client knows it has; 0 if none.
    known: AtomicU64,
}

/// What a claim asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// To join the line, or to look.
    Enter {
        /// Whether to stay in line if the name is held.
        wait: bool,
    },
    /// Another TTL for the hold of this number, and for no other that the claim may have by now.
    Renew { number: u64 },
    /// To leave.
    Leave,
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// The store does those of one claim in the order of their sequence, and ignores what comes
    /// after a later one.
    Claim {
        party: Arc<Party>,
        sequence: u32,
        verb: Verb,
    },
    Inspect {
        /// Numbered as a claim is.
        id: ClaimId,
        name: usize,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Stands(Place),
    State(LockState),
    Failed(Error),
}

impl Party {
    pub(super) fn new(id: ClaimId, name: usize, request: ClaimRequest) -> Self {
        Self {
            id,
            name,
            request,
            known: AtomicU64::new(0),
        }
    }

    /// The client has learnt that it holds by the grant of this number, or 0 that it does not.
    pub(super) fn knows(&self, number: u64) {
        self.known.store(number, Ordering::Relaxed);
    }

    pub(super) fn known(&self) -> u64 {
        self.known.load(Ordering::Relaxed)
    }

    /// The client is told that the hold of this number is gone, which means nothing to one that
    /// does not know of it, or that has another by now.
    pub(super) fn told_gone(&self, number: u64) {
        if self.known() == number {
            self.request.signals.gone();
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim {
                party,
                sequence,
                verb,
            } => write!(f, "{} #{sequence} {verb}", party.id),
            Self::Inspect { id, name } => write!(f, "{id} inspect {name}"),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enter { wait: true } => "enter",
            Self::Enter { wait: false } => "try",
            Self::Renew { .. } => "renew",
            Self::Leave => "leave",
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stands(Place::Held { number }) => write!(f, "held {number}"),
            Self::Stands(Place::Waiting { recheck }) => write!(f, "waiting {recheck:?}"),
            Self::Stands(_) => f.write_str("absent"),
            Self::State(state) => write!(
                f,
                "{} hold, {} wait",
                state.holders.len(),
                state.waiters.len()
            ),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}
