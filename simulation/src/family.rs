use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use distlock_core::session::Ladder;
use distlock_miniature::Server;

use crate::chance::Chance;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// It keeps a queue a name, in which each claim expires by itself.
    Queue,
    /// Its claims stand in line under sessions, and are told when their turn comes.
    Sessions,
    /// Its claims stand under sessions, and their requests are answered when they are granted.
    Blocking,
}

impl Family {
    /// Every family there is.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Sessions, Self::Blocking];

    pub(crate) fn draw(seed: u64) -> Self {
        let rng = &mut Chance::new(seed).of("family");
        Self::ALL[rng.usize(0..Self::ALL.len())]
    }

    pub(crate) fn has_sessions(self) -> bool {
        self != Self::Queue
    }

    /// The TTLs, in milliseconds, from which on those of a run may be.
    pub(crate) fn shortest_ttls(self) -> &'static [u64] {
        match self {
            Self::Queue => &[240, 500, 1000, 3000],
            // Some more than the stores take, whatever the clocks make of it.
            Self::Sessions | Self::Blocking => &[640, 1000, 3000],
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
