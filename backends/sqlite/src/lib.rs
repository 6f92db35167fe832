//! The embedded store of [distlock](https://docs.rs/distlock): locks for all processes of one
//! machine, in a SQLite file. No server.
//!
//! ```
//! use distlock_core::Locks;
//! use distlock_sqlite::SqliteBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("locks.db");
//! let locks = Locks::new(SqliteBackend::open(path).await?)?;
//! let guard = locks.lock("nightly").acquire().await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it rests on
//! * **One machine.** Expiry runs on the clock since boot, suspension included, which all processes
//!   share and nobody can step; a reboot frees all. The file remembers its machine, and another one
//!   is refused: a file shared between machines would grant a lock twice. Containers on one kernel
//!   may share a file.
//! * **One file of its own**, with the two files that SQLite keeps beside it (`-wal`, `-shm`), on a
//!   local file system. Deleting it while it is in use lets others take what is held.
//! * **A write a verb.** Commits are not flushed to the disk one by one: the death of any process
//!   loses nothing, a power cut may lose the last commits. It also ends all holders, and tokens go
//!   on growing as long as the wall clock is not behind (`Fencing::ClockAssumed`).
//! * **One writer at a time.** A process that is stopped (SIGSTOP) within its write transaction,
//!   some tens of microseconds long, stops all others until it goes on or dies. Their holds are
//!   lost and told, not held twice.
//!
//! # How it works
//! One connection, owned by one task. Operations that arrive while it is busy go out together, as
//! one query or one transaction. While another process writes, the transaction is begun again every
//! few milliseconds, and queries go on. While something waits, that task asks SQLite whether
//! another process has committed (`PRAGMA data_version`), each 1 to 10 milliseconds, however many
//! wait.

mod connection;
mod error;
mod file;
mod listeners;
mod machine;
mod records;
mod store;

use std::path::Path;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Signals};
use distlock_core::{Capabilities, CasBackend, Deadline, LockState, Name, Result};

use store::SqliteStore;

/// Locks in a SQLite file. Clones share one connection.
#[derive(Clone, Debug)]
pub struct SqliteBackend(CasBackend<SqliteStore>);

/// How to open a file. Made by [`SqliteBackend::options`].
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing until a file is opened"]
pub struct SqliteOptions {
    machine: Option<String>,
}

impl SqliteBackend {
    /// Opens the file, and makes it if there is none; the folder must exist.
    ///
    /// # Errors
    /// * `InvalidInput`: the path is empty, or SQLite's name for a database in memory.
    /// * `Unauthorized`: the file or its folder cannot be written.
    /// * `Misconfigured`: the folder does not exist, the file is no SQLite database, belongs to
    ///   another application, to a newer version of this library, or to another machine.
    /// * `Misconfigured`, too: outside of a tokio runtime.
    /// * `Unavailable`: the file is locked by another program, the disk is full or fails.
    ///
    /// # Cancel safety
    /// Dropping the future leaves at most an empty database behind.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path).await
    }

    /// Options for opening a file.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }
}

impl SqliteOptions {
    /// What identifies this machine across reboots. Default: the machine id of the system
    /// (`/etc/machine-id`). Set it where there is none, or where it changes while the machine stays
    /// the same; give different machines different ids.
    pub fn machine(mut self, id: impl Into<String>) -> Self {
        self.machine = Some(id.into());
        self
    }

    /// Opens the file with these options; see [`SqliteBackend::open`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteBackend> {
        let store = SqliteStore::open(path.as_ref(), &self).await?;
        Ok(SqliteBackend(CasBackend::new(store)))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for SqliteBackend {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        self.0.claim(request)
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        self.0.inspect(name, by).await
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        self.0.subscribe(name, signals)
    }

    async fn close(&self, by: Deadline) {
        self.0.close(by).await;
    }
}
