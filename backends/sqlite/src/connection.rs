//! The one connection, and the task that owns it: what arrives while it is busy goes out together.

use std::collections::HashSet;
use std::mem;
use std::ops::RangeInclusive;
use std::time::Duration;

use distlock_core::{Error, Name, Result};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::Failure;
use crate::file::forget_some;
use crate::listeners::Listeners;
use crate::machine::Machine;
use crate::records::{self, Change, Loaded, Swapped};

/// So many operations go out together, at most.
pub(crate) const BATCH: usize = 256;
/// For how long others' transactions are waited for, until whoever asked is told of them.
const BUSY: Duration = Duration::from_secs(1);
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
    /// Since when others' transactions have been in the way, if they are.
    busy_since: Option<Instant>,
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
        let mut batch = Batch::default();
        while self.fill(&mut batch, watch.next).await {
            self.load(&mut batch).await;
            self.store(&mut batch).await;
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

    /// Adds what has arrived. Waits for it if there is nothing to do, but not past the time to
    /// watch. `false`: nobody is left to ask.
    async fn fill(&mut self, batch: &mut Batch, watch_at: Instant) -> bool {
        batch.forget_unawaited();
        if batch.is_empty() {
            batch.busy_since = None;
            let arrives = self.requests.recv();
            let arrived = match self.listeners.is_empty() {
                true => Ok(arrives.await),
                false => tokio::time::timeout_at(watch_at, arrives).await,
            };
            match arrived {
                Ok(Some(request)) => batch.add(request),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
        while batch.len() < BATCH
            && let Ok(request) = self.requests.try_recv()
        {
            batch.add(request);
        }
        true
    }

    async fn load(&mut self, batch: &mut Batch) {
        if batch.loads.is_empty() {
            return;
        }
        let names = batch.loads.iter().map(|load| &load.name);
        match records::load(&mut self.connection, names).await {
            Ok(records) => {
                for (load, record) in batch.loads.drain(..).zip(records) {
                    answer(load.reply, record);
                }
            }
            Err(failure) if batch.waits_out(&failure) => {}
            Err(failure) => {
                let replies = batch.loads.drain(..).map(|load| load.reply);
                refuse(replies, &failure.into());
            }
        }
    }

    async fn store(&mut self, batch: &mut Batch) {
        while !batch.stores.is_empty() {
            // Of two changes of one name, the second is decided after the first.
            let mut names = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) = mem::take(&mut batch.stores)
                .into_iter()
                .partition(|store| names.insert(store.change.name.clone()));
            batch.stores = later;
            let changes = now.iter().map(|store| &store.change);
            match records::swap(&mut self.connection, changes).await {
                Ok(swapped) => {
                    batch.busy_since = None;
                    self.tell(now, &swapped);
                }
                Err(failure) if batch.waits_out(&failure) => {
                    batch.stores.splice(..0, now);
                    // What has arrived meanwhile, reads above all, is not kept waiting.
                    return;
                }
                Err(failure) => refuse(now.into_iter().map(|store| store.reply), &failure.into()),
            }
        }
    }

    fn tell(&self, stores: Vec<Store>, swapped: &Swapped) {
        for Store { change, reply } in stores {
            let stored = swapped.names.contains(&change.name);
            if stored {
                self.listeners.tell(&change.name, swapped.version);
            }
            answer(reply, Ok(stored.then_some(swapped.version)));
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

    /// Drops what nobody waits for any more.
    fn forget_unawaited(&mut self) {
        self.loads.retain(|load| !load.reply.is_closed());
        self.stores.retain(|store| !store.reply.is_closed());
    }

    fn len(&self) -> usize {
        self.loads.len() + self.stores.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this failure is another's transaction that is still to be waited for.
    fn waits_out(&mut self, failure: &Failure) -> bool {
        failure.is_busy() && self.busy_since.get_or_insert_with(Instant::now).elapsed() < BUSY
    }
}

fn refuse<T>(replies: impl Iterator<Item = Reply<T>>, error: &Error) {
    replies.for_each(|reply| answer(reply, Err(error.clone())));
}

/// Tells whoever asked, if they still wait.
fn answer<T>(reply: Reply<T>, result: Result<T>) {
    drop(reply.send(result));
}
