use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::Signals;
use distlock_core::queue::{LockQueue, StoreTime, wall_clock_floor};
use distlock_core::{
    Capabilities, CasStore, Deadline, Error, ErrorKind, Fair, Fencing, Name, Result, Swap, Version,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::SqliteOptions;
use crate::connection::{ConnectionTask, Load, Reply, Request, Store};
use crate::file;
use crate::listeners::Listeners;
use crate::machine::Machine;
use crate::records::Change;

/// Records in a table of a SQLite file.
pub(crate) struct SqliteStore {
    capabilities: Capabilities,
    path: PathBuf,
    requests: mpsc::UnboundedSender<Request>,
    listeners: Listeners,
    /// The greatest number ever given in the file, as last seen.
    highest: AtomicU64,
}

impl SqliteStore {
    pub(crate) async fn open(path: &Path, options: &SqliteOptions) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|error| {
            let message = "a database is opened within the tokio runtime that is to serve it";
            Error::new(ErrorKind::Misconfigured, message).with_source(error)
        })?;
        let machine = Machine::this(options.machine.as_deref())?;
        let connection = file::open(path, &machine).await?;
        let (requests, receiver) = mpsc::unbounded_channel();
        let listeners = Listeners::default();
        let task = ConnectionTask {
            connection,
            requests: receiver,
            listeners: listeners.clone(),
            machine,
        };
        runtime.spawn(task.run());
        let highest = AtomicU64::new(0);
        Ok(Self {
            capabilities: capabilities(),
            path: path.to_owned(),
            requests,
            listeners,
            highest,
        })
    }

    /// Asks the task that owns the connection, and waits for its reply.
    async fn ask<T>(&self, by: Deadline, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).map_err(|_| closed())?;
        by.bound(async { answer.await.unwrap_or_else(|_| Err(closed())) })
            .await
    }
}

fn capabilities() -> Capabilities {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut capabilities = Capabilities::new("sqlite", Duration::from_millis(100)..=366 * DAY);
    capabilities.shared = true;
    capabilities.permits = true;
    capabilities.fair = Fair::Yes;
    capabilities.push = true;
    capabilities.ttl_step = Duration::from_micros(1);
    capabilities.fencing = Fencing::ClockAssumed;
    capabilities.may_forget = true;
    capabilities
}

fn to_version(version: u64) -> Version {
    Version::new(version.to_string())
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the database is closed: its runtime has shut down; \
         keep it running, or use `build_on_own_thread`",
    )
}

#[async_trait]
impl CasStore for SqliteStore {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, name: &Name, by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        let name = name.clone();
        let loaded = self
            .ask(by, |reply| Request::Load(Load { name, reply }))
            .await?;
        self.highest.fetch_max(loaded.highest, Ordering::Relaxed);
        Ok(loaded
            .record
            .map(|(queue, version)| (queue, to_version(version))))
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap> {
        let expected = match expected.map(|version| version.as_str().parse()) {
            None => None,
            Some(Ok(version)) => Some(version),
            Some(Err(error)) => {
                return Err(
                    Error::new(ErrorKind::Unexpected, "no version of this store")
                        .with_source(error),
                );
            }
        };
        let change = Change {
            name: name.clone(),
            expected,
            queue: queue.clone(),
        };
        let stored = self
            .ask(by, |reply| Request::Store(Store { change, reply }))
            .await?;
        Ok(stored.map_or(Swap::Stale, |version| Swap::Stored(to_version(version))))
    }

    fn now(&self) -> Result<StoreTime> {
        StoreTime::since_boot()
    }

    fn floor(&self) -> u64 {
        wall_clock_floor().max(self.highest.load(Ordering::Relaxed) + 1)
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        let listening = self.listeners.add(name, signals);
        // If the task has ended, so will every request.
        let _ = self.requests.send(Request::Watch);
        Some(Box::new(listening))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
