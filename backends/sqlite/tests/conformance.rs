//! The suite of all promises, on a SQLite file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use distlock_conformance::{Harness, run};
use distlock_core::backend::Backend;
use distlock_core::{Capabilities, Fair, Fencing, Result};
use distlock_sqlite::SqliteBackend;
use tempfile::TempDir;

/// One file; each client has a connection of its own, in whatever process.
#[derive(Debug)]
struct Sqlite {
    file: PathBuf,
    _folder: TempDir,
}

#[async_trait]
impl Harness for Sqlite {
    fn capabilities(&self) -> Capabilities {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        let mut pinned = Capabilities::new("sqlite", Duration::from_millis(100)..=YEAR);
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
        Ok(Box::new(SqliteBackend::open(&self.file).await?))
    }

    fn address(&self) -> Option<String> {
        Some(self.file.display().to_string())
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(SqliteBackend::open(address).await?))
    }
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder for the database");
    run(Sqlite {
        file: folder.path().join("locks.db"),
        _folder: folder,
    })
}
