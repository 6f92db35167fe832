//! What the runs of the suite share: each client has sessions of its own with one server, or with
//! several that act as one.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Expiry, Fair, Fencing, Locks, Result};
use distlock_testbed::ZooKeeper;
use distlock_zookeeper::ZooKeeperBackend;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const TICK: Duration = Duration::from_millis(ZooKeeper::TICK);

/// A server, and the runtime that watches over it.
pub(crate) struct Started<S> {
    pub(crate) server: S,
    _runtime: Runtime,
}

impl<S: Send + 'static> Started<S> {
    /// Starts what is needed, and uses it for a while before any case does. A process that a case
    /// starts is told where that is, and needs none of its own.
    pub(crate) fn by<F>(
        start: impl FnOnce() -> F + Send + 'static,
        url: impl FnOnce(&S) -> String + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<S>>,
    {
        let start = move || {
            let runtime = Runtime::new().expect("a runtime for the server");
            let server = runtime.block_on(start()).expect("a server to lock at");
            runtime
                .block_on(warm(&url(&server)))
                .expect("locks of that server");
            Self {
                server,
                _runtime: runtime,
            }
        };
        // Cases are in a runtime, which must not block.
        thread::spawn(start).join().expect("a server")
    }
}

/// Of a server's Java, what runs often is compiled late; a fresh one is too slow for the shortest
/// TTL.
async fn warm(url: &str) -> Result<()> {
    const WARM: Duration = Duration::from_secs(4);
    const NAMES: usize = 16;
    let locks = Locks::new(ZooKeeperBackend::connect(url).await?)?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for name in 0..NAMES {
        let lock = locks.lock(format!("warm/{name}"));
        tasks.spawn(async move {
            while began.elapsed() < WARM {
                lock.acquire().await?.release().await?;
            }
            Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

#[derive(Debug)]
struct At {
    url: fn() -> String,
}

impl At {
    fn address(&self) -> String {
        let url = (self.url)();
        format!("{url}?tick_time=200ms&max_session_timeout=1m")
    }
}

#[async_trait]
impl Harness for At {
    fn capabilities(&self) -> Capabilities {
        let longest = Duration::from_millis(59_700);
        let mut pinned = Capabilities::new("zookeeper", TICK..=longest);
        pinned.shared = true;
        pinned.permits = true;
        pinned.fair = Fair::Yes;
        pinned.push = true;
        pinned.expiry = Expiry::PerSession;
        pinned.slack = Duration::from_millis(600);
        pinned.fencing = Fencing::Strict;
        pinned.may_forget = true;
        pinned
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        self.backend_at(&self.address()).await
    }

    fn address(&self) -> Option<String> {
        Some(self.address())
    }

    /// A TTL that there is on the ladder, and within which a slow server opens a session.
    fn ttl(&self) -> Duration {
        8 * TICK
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(ZooKeeperBackend::connect(address).await?))
    }
}

/// Runs the suite at this URL, which is asked for once a case needs it.
pub(crate) fn run_at(url: fn() -> String) -> ExitCode {
    run(At { url })
}
