//! The suite of all promises, on a real server.

use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Fair, Fencing, Result};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server};
use tokio::runtime::Runtime;

/// The server, and the runtime that watches over it. Started only once it is needed: a process that
/// a case starts is told where the server of the first one is.
static SERVER: LazyLock<(Runtime, Server<Redis>)> = LazyLock::new(|| {
    let start = || {
        let runtime = Runtime::new().expect("a runtime for the server");
        let started = runtime.block_on(Server::given_or_started(Redis::new()));
        (runtime, started.expect("a server to lock at"))
    };
    // Cases are in a runtime, which must not block.
    let started = std::thread::spawn(start).join();
    started.expect("a server")
});

/// One server; each client has a connection of its own.
#[derive(Debug)]
struct OnServer;

#[async_trait]
impl Harness for OnServer {
    fn capabilities(&self) -> Capabilities {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        let mut pinned = Capabilities::new("redis", Duration::from_millis(100)..=YEAR);
        pinned.shared = true;
        pinned.permits = true;
        pinned.fair = Fair::Yes;
        pinned.push = true;
        pinned.ttl_step = Duration::from_micros(1);
        pinned.fencing = Fencing::ClockAssumed;
        pinned.may_forget = true;
        pinned
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok(Box::new(RedisBackend::connect(&SERVER.1.url()).await?))
    }

    fn address(&self) -> Option<String> {
        Some(SERVER.1.url())
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(RedisBackend::connect(address).await?))
    }
}

fn main() -> ExitCode {
    run(OnServer)
}
