use std::fmt;

use distlock_core::backend::{Attempt, Released, Renewal};
use distlock_core::{ErrorKind, Result};

/// What a request came to: the queue's word, or the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Held,
    Blocked,
    Conflict,
    Extended,
    Lost,
    Released,
    NotHeld,
}

impl Answer {
    pub(super) fn to_attempt(found: &Result<Attempt>) -> Result<Self> {
        match found {
            Ok(Attempt::Held(_)) => Ok(Self::Held),
            Ok(_) => Ok(Self::Blocked),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Self::Conflict),
            Err(error) => Err(error.clone()),
        }
    }
}

impl From<Renewal> for Answer {
    fn from(found: Renewal) -> Self {
        match found {
            Renewal::Extended(_) => Self::Extended,
            _ => Self::Lost,
        }
    }
}

impl From<Released> for Answer {
    fn from(found: Released) -> Self {
        match found {
            Released::Held => Self::Released,
            _ => Self::NotHeld,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "it holds the name",
            Self::Blocked => "blocked",
            Self::Conflict => "a conflict of modes",
            Self::Extended => "extended",
            Self::Lost => "lost",
            Self::Released => "released a hold",
            Self::NotHeld => "held nothing",
        })
    }
}
