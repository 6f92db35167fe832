//! What passes between clients and the store.

use std::fmt;

use distlock_core::queue::{LockQueue, StoreTime};

/// One that comes again is answered as it was, and not done again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) client: usize,
    pub(super) name: usize,
    pub(super) asks: Asks,
    /// How often the client has asked for that before.
    pub(super) number: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Asks {
    Load,
    Swap {
        queue: LockQueue,
        expected: Option<u64>,
        /// When the queue was made, by the store's clock.
        made: StoreTime,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The record with its version, if there is one.
    Record(Option<(LockQueue, u64)>),
    Stored {
        version: u64,
    },
    Stale,
}

impl Asks {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Swap { .. } => "swap",
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            name,
            asks,
            number,
        } = self;
        write!(f, "{client} {} {name} #{number}", asks.verb())
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(Some((_, version))) => write!(f, "version {version}"),
            Self::Record(None) => f.write_str("no record"),
            Self::Stored { version } => write!(f, "stored as {version}"),
            Self::Stale => f.write_str("stale"),
        }
    }
}
