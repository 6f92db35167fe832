//! What the runs of the suite share: each client has a connection and leases of its own, at one
//! server or at several that act as one.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Expiry, Fair, Fencing, Result};
use distlock_etcd::EtcdBackend;
use tokio::runtime::Runtime;

/// A server, and the runtime that watches over it.
pub(crate) struct Started<S> {
    pub(crate) server: S,
    _runtime: Runtime,
}

impl<S: Send + 'static> Started<S> {
    /// Starts what is needed. A process that a case starts is told where that is, and needs none of
    /// its own.
    pub(crate) fn by<F>(start: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<S>>,
    {
        let start = || {
            let runtime = Runtime::new().expect("a runtime for the server");
            let server = runtime.block_on(start()).expect("a server to lock at");
            Self {
                server,
                _runtime: runtime,
            }
        };
        // Cases are in a runtime, which must not block.
        thread::spawn(start).join().expect("a server")
    }
}

#[derive(Debug)]
struct At {
    url: fn() -> String,
}

#[async_trait]
impl Harness for At {
    fn capabilities(&self) -> Capabilities {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        let mut pinned = Capabilities::new("etcd", Duration::from_secs(2)..=YEAR);
        pinned.shared = true;
        pinned.permits = true;
        pinned.fair = Fair::Yes;
        pinned.push = true;
        pinned.expiry = Expiry::PerSession;
        pinned.ttl_step = Duration::from_secs(1);
        pinned.slack = Duration::from_secs(1);
        pinned.fencing = Fencing::Strict;
        pinned.may_forget = true;
        pinned
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        self.backend_at(&(self.url)()).await
    }

    fn address(&self) -> Option<String> {
        Some((self.url)())
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(EtcdBackend::connect(address).await?))
    }
}

/// Runs the suite at this URL, which is asked for once a case needs it.
pub(crate) fn run_at(url: fn() -> String) -> ExitCode {
    run(At { url })
}
