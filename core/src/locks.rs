//! What users call.

mod builder;
mod contest;
mod kinds;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::backend::Backend;
use crate::capability::Capabilities;
use crate::engine::Engine;
use crate::error::Result;
use crate::mode::Mode;
use crate::name::Name;
use crate::state::LockState;

pub use builder::LocksBuilder;
pub use contest::{Acquire, TryAcquire};
pub use kinds::{Lock, RwLock, Semaphore};
pub use watch::Watch;

/// The locks of one store, under one namespace. Cheap to clone, and without a type parameter:
/// libraries take `Locks`, applications choose the store.
///
/// ```
/// # use distlock_core::backend::Backend;
/// # async fn example(backend: impl Backend) -> Result<(), distlock_core::Error> {
/// let locks = distlock_core::Locks::new(backend)?;
/// let guard = locks.lock("orders/42").acquire().await?;
/// // … what must not happen twice at once …
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Locks {
    pub(crate) engine: Arc<Engine>,
    defaults: Arc<Defaults>,
}

/// What a lock gets that chose nothing else.
#[derive(Debug)]
struct Defaults {
    namespace: Arc<str>,
    ttl: Duration,
    label: Arc<str>,
}

impl Locks {
    /// Locks of this store, driven by the runtime in which this is called, with every option at its
    /// default.
    ///
    /// # Errors
    /// `Misconfigured` outside of a tokio runtime; `InvalidInput` if the store does not take the
    /// default TTL.
    pub fn new(backend: impl Backend) -> Result<Self> {
        Self::builder().build(backend)
    }

    /// Options for all locks made from it.
    pub fn builder() -> LocksBuilder {
        LocksBuilder::new()
    }

    /// A mutex: one holder at a time. Sends nothing; a bad name is told by `acquire`.
    pub fn lock(&self, name: impl AsRef<str>) -> Lock {
        Lock::new(self, name.as_ref(), Mode::Exclusive)
    }

    /// A reader-writer lock: any number of readers, or one writer. Sends nothing; a bad name is
    /// told by `read` and `write`.
    pub fn rw_lock(&self, name: impl AsRef<str>) -> RwLock {
        RwLock::new(self, name.as_ref())
    }

    /// A semaphore: at most `limit` holders at a time. All who use the name must give the same
    /// limit. Sends nothing; a bad name or limit is told by `acquire`.
    pub fn semaphore(&self, name: impl AsRef<str>, limit: u32) -> Semaphore {
        Semaphore::new(self, name.as_ref(), Mode::Permit { limit })
    }

    /// Who holds the name and who waits for it, now.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name; otherwise what the store says.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn inspect(&self, name: impl AsRef<str>) -> Result<LockState> {
        let name = self.name(name.as_ref())?;
        inspect(&self.engine, &name, self.defaults.ttl).await
    }

    /// Follows who holds the name and who waits for it.
    pub fn watch(&self, name: impl AsRef<str>) -> Watch {
        Watch::new(self, name.as_ref())
    }

    /// What the store can and cannot do.
    pub fn capabilities(&self) -> &Capabilities {
        self.engine.backend.capabilities()
    }

    /// Resolves once all that was dropped so far is released or withdrawn. Await it before `main`
    /// returns, or the next holder may wait for a TTL.
    ///
    /// If the store does not answer, that can take as long as the longest TTL among them: put a
    /// time-out around it.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn settle(&self) {
        self.engine.pending.settled().await;
    }

    fn name(&self, name: &str) -> Result<Name> {
        Name::in_checked(&self.defaults.namespace, name)
    }
}

/// Asks the backend in a task, since the future of a backend is never dropped.
async fn inspect(engine: &Arc<Engine>, name: &Name, ttl: Duration) -> Result<LockState> {
    let (answer, state) = oneshot::channel();
    let (asked, of) = (Arc::clone(engine), name.clone());
    engine.spawn(async move {
        let result = asked.backend.inspect(&of, Engine::deadline(ttl)).await;
        // Whoever asked may have gone.
        drop(answer.send(result));
    });
    let result = state.await.unwrap_or_else(|_| Err(Engine::gone()));
    result.map_err(|error| error.during("inspect", name))
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks")
            .field("store", &self.engine.store())
            .field("defaults", &self.defaults)
            .finish_non_exhaustive()
    }
}
