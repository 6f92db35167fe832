//! The suite of all promises, on the in-process store.

use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Fair, Fencing, Result};
use distlock_memory::MemoryBackend;

/// One store; its clones are its clients.
#[derive(Debug, Default)]
struct Memory(MemoryBackend);

#[async_trait]
impl Harness for Memory {
    fn capabilities(&self) -> Capabilities {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        let mut pinned = Capabilities::new("memory", Duration::from_millis(10)..=YEAR);
        pinned.shared = true;
        pinned.permits = true;
        pinned.fair = Fair::Yes;
        pinned.push = true;
        pinned.ttl_step = Duration::from_micros(1);
        pinned.fencing = Fencing::Strict;
        pinned.may_forget = false;
        pinned
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok(Box::new(self.0.clone()))
    }
}

fn main() -> ExitCode {
    run(Memory::default())
}
