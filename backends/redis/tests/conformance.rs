//! The suite of all promises, on a real server.

use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Fair, Fencing, Result};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server};
use tokio::runtime::Runtime;

/// One server; each client has a connection of its own.
#[derive(Debug)]
struct OnServer {
    url: String,
}

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
        Ok(Box::new(RedisBackend::connect(&self.url).await?))
    }

    fn address(&self) -> Option<String> {
        Some(self.url.clone())
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(RedisBackend::connect(address).await?))
    }
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime for the server");
    let started = runtime.block_on(Server::given_or_started(Redis::new()));
    let server = started.expect("a server to lock at");
    run(OnServer { url: server.url() })
}
