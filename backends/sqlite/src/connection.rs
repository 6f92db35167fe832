//! The one connection, and the task that owns it: what arrives while it is busy goes out together.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use distlock_core::{Error, Name, Result};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::file::forget_some;
use crate::listeners::Listeners;
use crate::machine::Machine;
use crate::records::{self, Change, Loaded};

/// So many operations go out together, at most.
pub(crate) const BATCH: usize = 256;
/// How often it is asked whether another process has committed: this long after one has, then ever
/// more seldom, up to the other.
const WATCH: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(10);
/// How often records that nobody needs are looked for.
const FORGET_EACH: Duration = Duration::from_secs(60 * 60);

/// What the task is asked for. Who asks and does not wait any more has dropped the other end of
/// `reply`.
pub(crate) enum Request {
    Load(Load),
    Store(Store),
    /// Somebody has begun to listen.
    Watch,
}

pub(crate) struct Load {
    pub(crate) name: Name,
    pub(crate) reply: Reply<Loaded>,
}

pub(crate) struct Store {
    pub(crate) change: Change,
    /// The record's new version, if it had the one expected.
    pub(crate) reply: Reply<Option<u64>>,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

pub(crate) struct ConnectionTask {
    pub(crate) connection: SqliteConnection,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) listeners: Listeners,
    pub(crate) machine: Machine,
}

/// Requests that go out together.
#[derive(Default)]
struct Batch {
    loads: Vec<Load>,
    stores: Vec<Store>,
}

/// What is known of other processes' commits.
struct Watch {
    data_version: Option<i64>,
    pause: Duration,
    next: Instant,
}

impl ConnectionTask {
    /// Serves until nobody is left to ask.
    pub(crate) async fn run(mut self) {
        let mut watch = Watch {
            data_version: None,
            pause: *WATCH.start(),
            next: Instant::now(),
        };
        let mut forget_at = Instant::now() + FORGET_EACH;
        while let Some(batch) = self.next_batch(watch.next).await {
            self.load(batch.loads).await;
            self.store(batch.stores).await;
            if !self.listeners.is_empty() && watch.next <= Instant::now() {
                self.watch(&mut watch).await;
            }
            if forget_at <= Instant::now()
                // What could not be deleted now can be in an hour.
                && !matches!(forget_some(&mut self.connection, &self.machine).await, Ok(true))
            {
                forget_at = Instant::now() + FORGET_EACH;
            }
        }
        // A close that fails leaves a log that the next to open the file reads.
        let _ = self.connection.close().await;
    }

    /// What has arrived; empty when it is time to watch. `None`: nobody is left to ask.
    async fn next_batch(&mut self, watch_at: Instant) -> Option<Batch> {
        let mut batch = Batch::default();
        if self.listeners.is_empty() {
            batch.add(self.requests.recv().await?);
        } else {
            match tokio::time::timeout_at(watch_at, self.requests.recv()).await {
                Ok(request) => batch.add(request?),
                Err(_) => return Some(batch),
            }
        }
        for _ in 1..BATCH {
            match self.requests.try_recv() {
                Ok(request) => batch.add(request),
                Err(_) => break,
            }
        }
        Some(batch)
    }

    async fn load(&mut self, loads: Vec<Load>) {
        if loads.is_empty() {
            return;
        }
        let names = loads.iter().map(|load| &load.name);
        match records::load(&mut self.connection, names).await {
            Ok(records) => {
                for (load, record) in loads.into_iter().zip(records) {
                    answer(load.reply, record);
                }
            }
            Err(error) => refuse(loads.into_iter().map(|load| load.reply), &error),
        }
    }

    async fn store(&mut self, mut stores: Vec<Store>) {
        while !stores.is_empty() {
            // Of two changes of one name, the second is decided after the first.
            let mut names = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) = stores
                .into_iter()
                .partition(|store| names.insert(store.change.name.clone()));
            stores = later;
            let changes = now.iter().map(|store| &store.change);
            match records::swap(&mut self.connection, changes).await {
                Ok(swapped) => {
                    for Store { change, reply } in now {
                        let stored = swapped.names.contains(&change.name);
                        if stored {
                            self.listeners.tell(&change.name, swapped.version);
                        }
                        answer(reply, Ok(stored.then_some(swapped.version)));
                    }
                }
                Err(error) => refuse(now.into_iter().map(|store| store.reply), &error),
            }
        }
    }

    /// Asks whether another process has committed, and if so, which of the names listened to have
    /// changed.
    async fn watch(&mut self, watch: &mut Watch) {
        let changed = self.tell_foreign_changes(watch).await;
        // What fails is tried again at the next watch.
        watch.pause = match changed {
            Ok(true) => *WATCH.start(),
            _ => (watch.pause * 2).min(*WATCH.end()),
        };
        watch.next = Instant::now() + watch.pause;
    }

    async fn tell_foreign_changes(&mut self, watch: &mut Watch) -> Result<bool> {
        let data_version = Some(records::data_version(&mut self.connection).await?);
        if watch.data_version == data_version {
            return Ok(false);
        }
        let names = self.listeners.names();
        for (name, version) in records::versions(&mut self.connection, &names).await? {
            self.listeners.tell(&name, version);
        }
        watch.data_version = data_version;
        Ok(true)
    }
}

impl Batch {
    /// Adds what somebody still waits for.
    fn add(&mut self, request: Request) {
        match request {
            Request::Load(load) if !load.reply.is_closed() => self.loads.push(load),
            Request::Store(store) if !store.reply.is_closed() => self.stores.push(store),
            _ => {}
        }
    }
}

fn refuse<T>(replies: impl Iterator<Item = Reply<T>>, error: &Error) {
    replies.for_each(|reply| answer(reply, Err(error.clone())));
}

/// Tells whoever asked, if they still wait.
fn answer<T>(reply: Reply<T>, result: Result<T>) {
    drop(reply.send(result));
}
