//! How a name is held.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a name is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Mode {
    /// Alone: a mutex, or the writer of a reader-writer lock.
    Exclusive,
    /// Beside any number of other shared holders: a reader.
    Shared,
    /// As one of at most `limit` holders: a semaphore.
    Permit {
        /// How many may hold at once; the same for all who use the name.
        limit: u32,
    },
}

impl Mode {
    /// Whether contenders in these two modes may stand in one line. Locks and semaphores never mix,
    /// nor do semaphores of different limits.
    pub fn mixes_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Permit { limit }, Self::Permit { limit: other }) => limit == other,
            (Self::Permit { .. }, _) | (_, Self::Permit { .. }) => false,
            _ => true,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
            Self::Permit { .. } => "permit",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permit { limit } => write!(f, "permit (limit {limit})"),
            mode => f.write_str(mode.label()),
        }
    }
}
