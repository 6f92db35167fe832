//! The suite of all promises, on the store whose claims stand under sessions.

use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Expiry, Fair, Fencing, Result};
use distlock_miniature::{Direct, SessionBackend};

/// One server; each client has sessions of its own.
#[derive(Debug, Default)]
struct Miniature(Direct);

#[async_trait]
impl Harness for Miniature {
    fn capabilities(&self) -> Capabilities {
        let ttl = Duration::from_millis(600)..=Duration::from_secs(600);
        let mut pinned = Capabilities::new("sessions", ttl);
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

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok(Box::new(SessionBackend::new(self.0.clone())))
    }
}

fn main() -> ExitCode {
    run(Miniature::default())
}
