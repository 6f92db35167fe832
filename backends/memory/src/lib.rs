//! The in-process store of [distlock](https://docs.rs/distlock): locks for the tasks and threads of
//! one process, and the store to test with. It keeps time by tokio's clock, so under paused time a
//! test sees a TTL of hours pass in microseconds.
//!
//! ```
//! use distlock_core::Locks;
//! use distlock_memory::MemoryBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), distlock_core::Error> {
//! let store = MemoryBackend::new();
//! let one = Locks::new(store.clone())?;
//! let other = Locks::new(store)?;
//!
//! let guard = one.lock("x").acquire().await?;
//! assert!(other.lock("x").try_acquire().await?.is_none());
//! guard.release().await?;
//! assert!(other.lock("x").try_acquire().await?.is_some());
//! # Ok(())
//! # }
//! ```

mod store;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Signals};
use distlock_core::{Capabilities, CasBackend, Deadline, LockState, Name, Result};

use store::MemoryStore;

/// Locks within this process. Clones share one store; each [`new`](Self::new) is another.
#[derive(Clone, Debug)]
pub struct MemoryBackend(CasBackend<MemoryStore>);

impl MemoryBackend {
    /// A new store in which nothing is locked.
    pub fn new() -> Self {
        Self(CasBackend::new(MemoryStore::default()))
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for MemoryBackend {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        self.0.claim(request)
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        self.0.inspect(name, by).await
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        self.0.subscribe(name, signals)
    }

    async fn close(&self, by: Deadline) {
        self.0.close(by).await;
    }
}
