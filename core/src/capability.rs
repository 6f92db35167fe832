//! What a store can and cannot do, as data.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::mode::Mode;
use crate::session::Ladder;

/// The truth about a store. Pinned in each backend's tests and held against the real server by the
/// conformance suite; asking for more than a store has is `Unsupported`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The store's name, as in a URL's scheme and in traces.
    pub store: &'static str,
    /// Whether a name can be held shared (readers).
    pub shared: bool,
    /// Whether a name can be held by permits (a semaphore).
    pub permits: bool,
    /// Whether waiters are served in the order in which the store saw them.
    pub fair: Fair,
    /// Whether waiters are woken by the store, rather than finding out at their next look.
    pub push: bool,
    /// Whether a waiter waits inside one request, which the server answers once it is granted,
    /// rather than standing in line and asking again when told to. Its place in line is then its
    /// own: when it gives up, no neighbour of its client inherits it.
    pub waits_on_server: bool,
    /// What it is that expires.
    pub expiry: Expiry,
    /// The TTLs that the store accepts.
    pub ttl: RangeInclusive<Duration>,
    /// The step in which the store counts a TTL.
    pub ttl_step: Duration,
    /// How long past its TTL a dead claim may still stand in the store.
    pub slack: Duration,
    /// What the fencing tokens rest on.
    pub fencing: Fencing,
    /// Whether the store may forget a hold before its TTL: when it is killed, restored, or an
    /// operator removes entries. The holder is told, but perhaps after another has been granted the
    /// name.
    pub may_forget: bool,
}

/// Whether waiters are served in the order in which the store saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fair {
    /// Anyone may be next.
    No,
    /// In order, as long as no more than this many wait.
    UpTo(u32),
    /// In order.
    Yes,
}

/// What it is that expires in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// Each claim by itself.
    PerClaim,
    /// A session that many claims of one client share.
    PerSession,
}

/// What the order of fencing tokens rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fencing {
    /// Nothing but the store's own durability.
    Strict,
    /// After a loss of data, on the clock not being behind the last grant.
    ClockAssumed,
}

impl Capabilities {
    /// The capabilities of a store that takes exclusive locks with these TTLs and promises no more
    /// than every store must. Set the fields for what it has beyond that.
    pub fn new(store: &'static str, ttl: RangeInclusive<Duration>) -> Self {
        Self {
            store,
            shared: false,
            permits: false,
            fair: Fair::No,
            push: false,
            waits_on_server: false,
            expiry: Expiry::PerClaim,
            ttl,
            ttl_step: Duration::from_millis(1),
            slack: Duration::ZERO,
            fencing: Fencing::ClockAssumed,
            may_forget: true,
        }
    }

    /// The TTL in force for one that was asked for, within the store's range: rounded down to its
    /// step; and, where it is a session that expires, to a rung of the [`Ladder`] of its sessions.
    pub fn ttl_in_force(&self, asked: Duration) -> Duration {
        match self.expiry {
            Expiry::PerClaim => {
                let beyond = asked.as_nanos() % self.ttl_step.as_nanos().max(1);
                let beyond = Duration::from_nanos(u64::try_from(beyond).unwrap_or(0));
                (asked - beyond).max(*self.ttl.start())
            }
            Expiry::PerSession => Ladder::new(&self.ttl).in_force(asked),
        }
    }

    /// Whether the store has this mode.
    ///
    /// # Errors
    /// `Unsupported`, naming the store and the mode.
    pub(crate) fn check_mode(&self, mode: Mode) -> Result<()> {
        let has = match mode {
            Mode::Exclusive => true,
            Mode::Shared => self.shared,
            Mode::Permit { .. } => self.permits,
        };
        if has {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the {} store has no {} locks; choose another store",
                self.store,
                mode.label()
            ),
        ))
    }
}
