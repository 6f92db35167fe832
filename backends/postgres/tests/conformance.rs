//! The suite of all promises, on a PostgreSQL server.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Expiry, Fair, Fencing, Result};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Postgres, Server};
use tokio::runtime::Runtime;

/// One server; each client has connections of its own, in whatever process.
#[derive(Debug)]
struct Real;

#[async_trait]
impl Harness for Real {
    fn capabilities(&self) -> Capabilities {
        let longest = Duration::from_millis(2_147_483_647);
        let mut pinned = Capabilities::new("postgres", Duration::from_secs(1)..=longest);
        pinned.shared = true;
        pinned.fair = Fair::UpTo(16);
        pinned.push = true;
        pinned.waits_on_server = true;
        pinned.expiry = Expiry::PerSession;
        pinned.slack = Duration::from_secs(1);
        pinned.fencing = Fencing::ClockAssumed;
        pinned.may_forget = true;
        pinned
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        self.backend_at(&server().1.url()).await
    }

    fn address(&self) -> Option<String> {
        Some(server().1.url())
    }

    /// Each client opens several connections, which takes a server its time.
    fn ttl(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(PostgresBackend::connect(address).await?))
    }
}

/// Started by the first to need it: the processes that the suite starts are told of this one's.
fn server() -> &'static (Runtime, Server<Postgres>) {
    static SERVER: OnceLock<(Runtime, Server<Postgres>)> = OnceLock::new();
    let start = || {
        let runtime = Runtime::new().expect("a runtime");
        let recipe = Postgres::new().setting("max_connections = 1000");
        let server = runtime.block_on(Server::given_or_started(recipe));
        (runtime, server.expect("a server"))
    };
    // Not on a thread of a runtime, where nothing may block.
    SERVER.get_or_init(|| thread::spawn(start).join().expect("a server"))
}

fn main() -> ExitCode {
    run(Real)
}
