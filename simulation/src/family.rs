use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use distlock_core::session::Ladder;
use distlock_miniature::Server;

use crate::chance::Chance;
use crate::journey::PROMPT;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// It keeps a queue a name, in which each claim expires by itself.
    Queue,
    /// It keeps a record a name, in which its clients keep a queue by comparing and swapping it.
    Records,
    /// Its claims stand in line under sessions, and are told when their turn comes.
    Sessions,
    /// Its claims stand under sessions, and their requests are answered when they are granted.
    Blocking,
}

impl Family {
    /// Every family there is.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Records, Self::Sessions, Self::Blocking];

    pub(crate) fn draw(seed: u64) -> Self {
        let rng = &mut Chance::new(seed).of("family");
        Self::ALL[rng.usize(0..Self::ALL.len())]
    }

    pub(crate) fn has_sessions(self) -> bool {
        matches!(self, Self::Sessions | Self::Blocking)
    }

    /// The TTLs, in milliseconds, from which on those of a run may be.
    pub(crate) fn shortest_ttls(self) -> &'static [u64] {
        match self {
            Self::Queue => &[240, 500, 1000, 3000],
            // Several clients may have to swap a record one after the other within a sixth of it.
            // Sessions: some more than the stores take, whatever the clocks make of it.
            Self::Records | Self::Sessions | Self::Blocking => &[640, 1000, 3000],
        }
    }

    /// The TTL that a claim has if its client asks for this one.
    pub(crate) fn in_force(self, asked: Duration) -> Duration {
        if self.has_sessions() {
            let any = Duration::from_millis(600)..=Duration::from_secs(600);
            Ladder::new(&any).in_force(asked)
        } else {
            asked
        }
    }

    /// Within what a waiter that all is well with learns of its grant, if no TTL is longer.
    pub(crate) fn soon(self, longest_ttl: Duration) -> Duration {
        // A hint, a request and its reply.
        let soon = 5 * PROMPT;
        match self {
            Self::Queue => soon,
            // Where nobody tells, a waiter looks fifty times in a TTL; and the record may be swapped
            // by each of the others before it is by this one.
            Self::Records => longest_ttl / 50 + 20 * soon,
            // A heartbeat more.
            Self::Sessions | Self::Blocking => soon + 2 * PROMPT,
        }
    }

    /// How much longer than its TTL the store may keep what it has not heard of.
    pub(crate) fn slack(self) -> Duration {
        if self.has_sessions() {
            Server::SLACK
        } else {
            Duration::ZERO
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Records => "records",
            Self::Sessions => "sessions",
            Self::Blocking => "blocking",
        })
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|it| it.to_string() == name);
        named.ok_or_else(|| format!("there is no family `{name}`"))
    }
}
