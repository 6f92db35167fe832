//! What a task does with locks, drawn step by step.

use std::time::Duration;

use distlock::{Acquire, Capabilities, Locks, Mode, TryAcquire};
use distlock_conformance::history::Wish;
use fastrand::Rng;

/// The names that all contend for, and how each is held.
const NAMES: [(&str, Kind); 4] = [
    ("mutex", Kind::Mutex),
    ("other mutex", Kind::Mutex),
    ("readers and writers", Kind::ReadersAndWriters),
    ("permits", Kind::Permits),
];
const PERMITS: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mutex,
    ReadersAndWriters,
    Permits,
}

/// One acquisition and what is done with its guard.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) way: Way,
    /// Left to itself until that much has passed since it was asked for.
    pub(crate) max_hold: Option<Duration>,
    /// How long the guard is used.
    pub(crate) held: Duration,
    /// How it is given up.
    pub(crate) end: End,
    /// How long to wait before something else.
    pub(crate) rest: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Wait,
    Within(Duration),
    /// Waits, and is dropped after this time.
    Cancelled(Duration),
    Try,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Released,
    Dropped,
    /// Asked to be valid for as long as can be, and then released.
    Extended,
    /// Kept until it is lost.
    Forgotten,
}

/// An acquisition that is under way.
pub(crate) enum Asking {
    Waits(Acquire),
    Tries(TryAcquire),
}

/// The names that can be used on such a store.
pub(crate) fn names(store: &Capabilities) -> impl Iterator<Item = &'static str> {
    usable(store).into_iter().map(|(name, _)| name)
}

fn usable(store: &Capabilities) -> Vec<(&'static str, Kind)> {
    let has = |kind: Kind| match kind {
        Kind::Mutex => true,
        Kind::ReadersAndWriters => store.shared,
        Kind::Permits => store.permits,
    };
    NAMES.into_iter().filter(|(_, kind)| has(*kind)).collect()
}

impl Work {
    pub(crate) fn draw(chance: &mut Rng, store: &Capabilities, ttl: Duration) -> Self {
        let names = usable(store);
        let (name, kind) = names[chance.usize(..names.len())];
        let mode = match kind {
            Kind::Mutex => Mode::Exclusive,
            Kind::ReadersAndWriters if chance.u8(..3) > 0 => Mode::Shared,
            Kind::ReadersAndWriters => Mode::Exclusive,
            Kind::Permits => Mode::Permit { limit: PERMITS },
        };
        let way = match chance.u8(..10) {
            0..4 => Way::Wait,
            4..6 => Way::Within(millis(chance, 20, 1500)),
            6..8 => Way::Try,
            _ => Way::Cancelled(millis(chance, 0, 400)),
        };
        let end = match chance.u8(..20) {
            0..10 => End::Released,
            10..17 => End::Dropped,
            17..19 => End::Extended,
            _ => End::Forgotten,
        };
        let held = match chance.u8(..40) {
            0 => ttl.mul_f64(0.3 + chance.f64()),
            _ => millis(chance, 0, 40),
        };
        Self {
            name,
            mode,
            way,
            max_hold: (end == End::Forgotten).then(|| ttl.mul_f64(0.2 + 1.3 * chance.f64())),
            held,
            end,
            rest: millis(chance, 0, 60),
        }
    }

    /// Waits for as long as it takes.
    pub(crate) fn never_gives_up(&mut self) {
        if self.way != Way::Try {
            self.way = Way::Wait;
        }
    }

    pub(crate) fn wish(&self) -> Wish {
        match self.way {
            Way::Wait | Way::Cancelled(_) => Wish::Wait,
            Way::Within(_) => Wish::Within,
            Way::Try => Wish::Try,
        }
    }

    /// Begins, once it is polled.
    pub(crate) fn ask(&self, locks: &Locks) -> Asking {
        macro_rules! asked {
            ($lock:expr, $wait:ident, $within:ident, $try:ident) => {{
                let mut lock = $lock;
                if let Some(limit) = self.max_hold {
                    lock = lock.max_hold(limit);
                }
                match self.way {
                    Way::Wait | Way::Cancelled(_) => Asking::Waits(lock.$wait()),
                    Way::Within(limit) => Asking::Waits(lock.$within(limit)),
                    Way::Try => Asking::Tries(lock.$try()),
                }
            }};
        }
        match self.mode {
            Mode::Permit { limit } => asked!(
                locks.semaphore(self.name, limit),
                acquire,
                acquire_within,
                try_acquire
            ),
            Mode::Shared => asked!(locks.rw_lock(self.name), read, read_within, try_read),
            _ => asked!(locks.lock(self.name), acquire, acquire_within, try_acquire),
        }
    }
}

fn millis(chance: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(chance.u64(from..=to))
}
