use std::sync::Arc;
use std::time::Duration;

use super::builder::checked_label;
use super::{Acquire, Defaults, Locks, TryAcquire};
use crate::engine::caller::{Contest, Kind};
use crate::engine::{Engine, Spec};
use crate::error::{Error, Result};
use crate::mode::Mode;
use crate::name::Name;
use crate::token::FencingToken;
use crate::ttl::Ttl;

/// A mutex: a name that one holder at a time can have. A description; sends nothing until asked.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is acquired"]
pub struct Lock(Described);

/// A reader-writer lock: any number of readers, or one writer. A description; sends nothing until
/// asked.
///
/// Readers who come after a waiting writer wait behind it, where the store is fair.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is acquired"]
pub struct RwLock(Described);

/// A semaphore: at most `limit` holders at a time. A description; sends nothing until asked.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is acquired"]
pub struct Semaphore(Described);

/// What the three kinds have in common: a name, a mode, and options.
#[derive(Clone, Debug)]
struct Described {
    engine: Arc<Engine>,
    defaults: Arc<Defaults>,
    name: Result<Name>,
    mode: Mode,
    ttl: Option<Duration>,
    max_hold: Option<Duration>,
    label: Option<String>,
}

macro_rules! options {
    ($($kind:ident),*) => {$(
        impl $kind {
            /// For how long the store keeps a hold, or a place in line, without hearing from this
            /// client. Default: that of the [`Locks`].
            pub fn ttl(mut self, ttl: Duration) -> Self {
                self.0.ttl = Some(ttl);
                self
            }

            /// After this time the hold is lost, released or not: for work that must not hold for
            /// ever if it hangs. At most as long as the TTL, it means that the hold is not renewed.
            /// Default: no limit.
            pub fn max_hold(mut self, limit: Duration) -> Self {
                self.0.max_hold = Some(limit);
                self
            }

            /// What [`Locks::inspect`] shows of the holder or waiter, up to 256 bytes. Default:
            /// that of the [`Locks`].
            pub fn label(mut self, label: impl Into<String>) -> Self {
                self.0.label = Some(label.into());
                self
            }
        }
    )*};
}

options!(Lock, RwLock, Semaphore);

impl Lock {
    pub(super) fn new(locks: &Locks, name: &str, mode: Mode) -> Self {
        Self(Described::new(locks, name, mode))
    }

    /// Waits for the lock, however long others hold it.
    ///
    /// An error means that the store could not be asked for a whole TTL (within 1 and 30 seconds),
    /// or refused; see [`ErrorKind`](crate::ErrorKind).
    pub fn acquire(&self) -> Acquire {
        self.0.wait(None)
    }

    /// Waits for the lock, but answers `TimedOut` after `limit`.
    pub fn acquire_within(&self, limit: Duration) -> Acquire {
        self.0.wait(Some(limit))
    }

    /// Takes the lock if nobody holds it or waits for it: `Ok(None)` otherwise.
    pub fn try_acquire(&self) -> TryAcquire {
        self.0.try_once()
    }

    /// Acquires the lock, runs `work` with its fencing token as long as it is held, and releases
    /// it.
    ///
    /// ```
    /// # async fn example(locks: distlock_core::Locks) -> Result<(), distlock_core::Error> {
    /// let written = locks.lock("report").run(async |token| format!("written under {token}")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`acquire`](Self::acquire), before `work` has begun; `Lost` if the lock was lost
    /// before `work` was done (it is dropped at that moment and may have had effects).
    ///
    /// # Cancel safety
    /// Dropping the future drops `work` and releases the lock.
    pub async fn run<F, Fut>(&self, work: F) -> Result<Fut::Output>
    where
        F: FnOnce(FencingToken) -> Fut,
        Fut: Future,
    {
        let guard = self.acquire().await?;
        let output = guard.while_held(work(guard.token())).await?;
        match guard.release().await {
            Err(error) if error.kind() == crate::ErrorKind::Lost => Err(error),
            // Released, or not confirmed: the work was done under the lock, and the lock ends by
            // its TTL.
            _ => Ok(output),
        }
    }
}

impl RwLock {
    pub(super) fn new(locks: &Locks, name: &str) -> Self {
        Self(Described::new(locks, name, Mode::Shared))
    }

    /// Waits to read, however long a writer holds the name.
    pub fn read(&self) -> Acquire {
        self.0.wait(None)
    }

    /// Waits to read, but answers `TimedOut` after `limit`.
    pub fn read_within(&self, limit: Duration) -> Acquire {
        self.0.wait(Some(limit))
    }

    /// Reads if no writer holds the name or waits for it: `Ok(None)` otherwise.
    pub fn try_read(&self) -> TryAcquire {
        self.0.try_once()
    }

    /// Waits to write, however long others hold the name.
    pub fn write(&self) -> Acquire {
        self.writer().wait(None)
    }

    /// Waits to write, but answers `TimedOut` after `limit`.
    pub fn write_within(&self, limit: Duration) -> Acquire {
        self.writer().wait(Some(limit))
    }

    /// Writes if nobody holds the name or waits for it: `Ok(None)` otherwise.
    pub fn try_write(&self) -> TryAcquire {
        self.writer().try_once()
    }

    fn writer(&self) -> Described {
        Described {
            mode: Mode::Exclusive,
            ..self.0.clone()
        }
    }
}

impl Semaphore {
    pub(super) fn new(locks: &Locks, name: &str, mode: Mode) -> Self {
        Self(Described::new(locks, name, mode))
    }

    /// Waits for a permit, however long others hold them all.
    pub fn acquire(&self) -> Acquire {
        self.0.wait(None)
    }

    /// Waits for a permit, but answers `TimedOut` after `limit`.
    pub fn acquire_within(&self, limit: Duration) -> Acquire {
        self.0.wait(Some(limit))
    }

    /// Takes a permit if one is free and nobody waits for it: `Ok(None)` otherwise.
    pub fn try_acquire(&self) -> TryAcquire {
        self.0.try_once()
    }
}

impl Described {
    fn new(locks: &Locks, name: &str, mode: Mode) -> Self {
        Self {
            engine: Arc::clone(&locks.engine),
            defaults: Arc::clone(&locks.defaults),
            name: locks.name(name),
            mode,
            ttl: None,
            max_hold: None,
            label: None,
        }
    }

    fn wait(&self, limit: Option<Duration>) -> Acquire {
        Acquire(Contest::new(
            &self.engine,
            self.checked(),
            Kind::Wait(limit),
        ))
    }

    fn try_once(&self) -> TryAcquire {
        TryAcquire(Contest::new(&self.engine, self.checked(), Kind::Try))
    }

    /// What is asked for, if it can be asked of this store at all.
    fn checked(&self) -> Result<Spec> {
        let name = self.name.clone()?;
        self.check(&name)
            .map_err(|error| error.during("acquire", &name))
    }

    fn check(&self, name: &Name) -> Result<Spec> {
        let capabilities = self.engine.backend.capabilities();
        if self.mode == (Mode::Permit { limit: 0 }) {
            return Err(Error::invalid("a semaphore's limit is 1 or more; it is 0"));
        }
        capabilities.check_mode(self.mode)?;
        if self.max_hold == Some(Duration::ZERO) {
            return Err(Error::invalid(
                "a max_hold is more than zero; leave it out for no limit",
            ));
        }
        let label = self
            .label
            .as_deref()
            .map_or_else(|| Ok(Arc::clone(&self.defaults.label)), checked_label)?;
        let ttl = Ttl::new(self.ttl.unwrap_or(self.defaults.ttl), capabilities)?;
        self.engine.drift.check(ttl.get())?;
        Ok(Spec {
            name: name.clone(),
            mode: self.mode,
            ttl,
            label,
            max_hold: self.max_hold,
        })
    }
}
