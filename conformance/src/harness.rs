use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Error, ErrorKind, Result};

/// How the suite reaches the store under test. Written by the author of its backend.
#[async_trait]
pub trait Harness: fmt::Debug + Send + Sync + 'static {
    /// What the store can do, written out here once more. A case compares it with what the backend
    /// says, so that neither changes unnoticed; the cases that a store has to pass follow from it.
    fn capabilities(&self) -> Capabilities;

    /// A new client of the one store under test, as foreign to all others as one of another
    /// process. Called several times by each case, in a runtime that ends with the case.
    ///
    /// # Errors
    /// Whatever keeps the client from reaching the store; the case fails with it.
    async fn backend(&self) -> Result<Box<dyn Backend>>;

    /// How a second process finds the same store: a URL, a path. `None`, the default, says that it
    /// cannot; then the cases that need a second process are ignored.
    fn address(&self) -> Option<String> {
        None
    }

    /// A client of the store at this address. Called in the second process, where only the address
    /// is known.
    ///
    /// # Errors
    /// As for [`backend`](Self::backend); `Unsupported`, by default.
    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("no second process can reach a store at `{address}`"),
        ))
    }

    /// The TTL of the cases that wait for one to pass. The default is 600 milliseconds, or the
    /// shortest TTL of the store if that is longer; a store that is slow where it is tested may
    /// need more.
    fn ttl(&self) -> Duration {
        self.capabilities()
            .ttl
            .start()
            .max(&Duration::from_millis(600))
            .to_owned()
    }
}
