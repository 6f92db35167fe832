use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::nanos;

/// By what a history is measured: what the store declares, and how much time the machine needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Terms {
    /// How long past its TTL a dead claim may still stand in the store.
    #[serde(with = "nanos")]
    pub slack: Duration,
    /// Whether those who wait are served in the order in which the store saw them.
    pub fair: bool,
    /// What takes a round trip or two, and a wake-up, is done within this on this machine.
    #[serde(with = "nanos")]
    pub soon: Duration,
    /// So long after a fault has ended its effects may still be felt.
    #[serde(with = "nanos")]
    pub settles: Duration,
    /// A user is told within this of a hold being lost.
    #[serde(with = "nanos")]
    pub notice: Duration,
}

impl Default for Terms {
    /// Of a store that declares nothing, on a machine with little else to do.
    fn default() -> Self {
        Self {
            slack: Duration::ZERO,
            fair: false,
            soon: Duration::from_millis(500),
            settles: Duration::from_secs(5),
            notice: Duration::from_millis(250),
        }
    }
}
