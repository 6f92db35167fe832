//! The suite of all promises, on both kinds of store with sessions. At the same time: most of its
//! cases wait for time to pass.

use std::fmt;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Expiry, Fair, Fencing, Result};
use distlock_miniature::{Direct, SessionBackend};

/// One server; each client has sessions of its own.
struct Miniature {
    pinned: Capabilities,
    client: Box<dyn Fn() -> Box<dyn Backend> + Send + Sync>,
}

#[async_trait]
impl Harness for Miniature {
    fn capabilities(&self) -> Capabilities {
        self.pinned.clone()
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok((self.client)())
    }
}

impl fmt::Debug for Miniature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miniature").finish_non_exhaustive()
    }
}

fn pinned(store: &'static str) -> Capabilities {
    let ttl = Duration::from_millis(600)..=Duration::from_secs(600);
    let mut pinned = Capabilities::new(store, ttl);
    pinned.shared = true;
    pinned.permits = true;
    pinned.fair = Fair::Yes;
    pinned.push = true;
    pinned.expiry = Expiry::PerSession;
    pinned.slack = Duration::from_millis(20);
    pinned.fencing = Fencing::Strict;
    pinned.may_forget = false;
    pinned
}

fn sessions() -> Miniature {
    let server = Direct::new();
    Miniature {
        pinned: pinned("sessions"),
        client: Box::new(move || Box::new(SessionBackend::new(server.clone()))),
    }
}

fn blocking() -> Miniature {
    let server = Direct::new();
    let mut pinned = pinned("blocking");
    pinned.waits_on_server = true;
    Miniature {
        pinned,
        client: Box::new(move || Box::new(SessionBackend::waiting_on_server(server.clone()))),
    }
}

fn main() -> ExitCode {
    let ended = thread::scope(|threads| {
        let running = [sessions, blocking].map(|store| threads.spawn(move || run(store())));
        running.map(|suite| suite.join().unwrap_or(ExitCode::FAILURE))
    });
    let failed = ended.into_iter().find(|ended| *ended != ExitCode::SUCCESS);
    failed.unwrap_or(ExitCode::SUCCESS)
}
