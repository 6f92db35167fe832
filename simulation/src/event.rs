use std::fmt;
use std::time::Duration;

use distlock_core::{ErrorKind, Loss, Mode};

use crate::message::{Journey, Verb};

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When, from the beginning of the run, by the clock of the clients.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What can happen in a run. Operations, claims, clients and names are numbered.
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
        waits: bool,
    },
    /// It got a guard, while these other guards of the name counted themselves valid.
    Received {
        op: usize,
        number: u64,
        valid_for: Duration,
        beside: Vec<usize>,
    },
    /// The name was not free, and it would not wait.
    Busy { op: usize },
    /// It failed.
    Failed { op: usize, kind: ErrorKind },
    /// The client dropped it before it was done.
    Abandoned { op: usize },
    /// The guard was given up by its user, while valid or not.
    GivenUp { op: usize, valid: bool },
    /// The guard's user was told that it is lost.
    LossTold { op: usize, loss: Loss },
    /// The guard's validity ended a while ago and its user has not been told.
    LossUntold { op: usize },
    /// The guard counts itself valid and the store has ended its hold.
    Unbacked { op: usize },

    /// A request sets out.
    Sent {
        claim: usize,
        client: usize,
        sequence: u32,
        verb: Verb,
        journey: Journey,
    },
    /// Its reply sets out.
    Replied {
        claim: usize,
        sequence: u32,
        journey: Journey,
    },
    /// The store knows the claim.
    Joined {
        claim: usize,
        client: usize,
        name: usize,
        mode: Mode,
    },
    /// The store has granted the claim the name.
    Granted {
        claim: usize,
        name: usize,
        number: u64,
    },
    /// The claim stands in the store no more.
    Gone { claim: usize, name: usize },

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
    /// An acquisition is not done long after that.
    Starved { op: usize },
    /// The client has let go of everything, and the engine says that this is settled.
    Settled { client: usize },
    /// The engine does not say so, long after.
    Unsettled { client: usize },
    /// All have let go of everything and the store still shows so many of them.
    Residue { name: usize, entries: usize },
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
