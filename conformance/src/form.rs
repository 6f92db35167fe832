use std::time::Duration;

use distlock_core::{Acquire, Capabilities, Locks, Mode, TryAcquire};

/// In which mode the lock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Exclusive,
    Reader,
    Writer,
    Permit,
}

impl Form {
    const ALL: [Self; 4] = [Self::Exclusive, Self::Reader, Self::Writer, Self::Permit];

    /// Those that a store has.
    pub(crate) fn of(store: &Capabilities) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|form| form.is_of(store))
    }

    fn is_of(self, store: &Capabilities) -> bool {
        match self {
            Self::Exclusive => true,
            Self::Reader | Self::Writer => store.shared,
            Self::Permit => store.permits,
        }
    }

    pub(crate) fn acquire(self, locks: &Locks, name: &str) -> Acquire {
        match self {
            Self::Exclusive => locks.lock(name).acquire(),
            Self::Reader => locks.rw_lock(name).read(),
            Self::Writer => locks.rw_lock(name).write(),
            Self::Permit => locks.semaphore(name, 1).acquire(),
        }
    }

    pub(crate) fn acquire_within(self, locks: &Locks, name: &str, limit: Duration) -> Acquire {
        match self {
            Self::Exclusive => locks.lock(name).acquire_within(limit),
            Self::Reader => locks.rw_lock(name).read_within(limit),
            Self::Writer => locks.rw_lock(name).write_within(limit),
            Self::Permit => locks.semaphore(name, 1).acquire_within(limit),
        }
    }

    pub(crate) fn try_acquire(self, locks: &Locks, name: &str) -> TryAcquire {
        match self {
            Self::Exclusive => locks.lock(name).try_acquire(),
            Self::Reader => locks.rw_lock(name).try_read(),
            Self::Writer => locks.rw_lock(name).try_write(),
            Self::Permit => locks.semaphore(name, 1).try_acquire(),
        }
    }

    /// What a claim asks for in this form.
    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Exclusive | Self::Writer => Mode::Exclusive,
            Self::Reader => Mode::Shared,
            Self::Permit => Mode::Permit { limit: 1 },
        }
    }

    /// The form that cannot be held beside this one.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
            same => same,
        }
    }
}
