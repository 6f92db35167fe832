use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use distlock_core::session::Session;
use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::key::Key;
use crate::statements::Ahead;
use crate::table::Shown;

/// A connection that holds locks, or waits for one, as its users see it. A task of its own does
/// what they ask for, together what arrives while it is busy, and ends with this.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) process: Process,
    pub(crate) ttl: Duration,
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) task: AbortHandle,
    pub(crate) ending: Arc<Ending>,
}

/// What the server calls the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: i32,
    /// When it began: the id alone is used again.
    pub(crate) began: i64,
}

/// Whom the end of a connection concerns.
#[derive(Debug, Default)]
pub(crate) struct Ending(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ended: bool,
    session: Weak<Session<Client>>,
    /// The connection which says that the client of this one lives.
    voucher: Weak<Connection>,
}

pub(crate) enum Request {
    Lock(Lock),
    Unlock(Unlock),
    /// The claims whose locks stand.
    Beat(Reply<Vec<u128>>),
    /// Waits for a lock; `None` if the wait was cancelled.
    Wait(Wait),
    Vouch(i32, Reply<()>),
    Disown(i32),
    /// Ends dead connections before that one in its line.
    Clear(i32, Reply<Ahead>),
    /// Ends dead connections that have the lock of this key, or wait for it.
    Bury(Key, Reply<bool>),
}

pub(crate) struct Lock {
    pub(crate) entry: u128,
    pub(crate) wanted: Shown,
    /// The number, if it was granted.
    pub(crate) reply: Reply<Option<u64>>,
}

pub(crate) struct Unlock {
    pub(crate) entry: u128,
    /// Whether it was held.
    pub(crate) reply: Reply<bool>,
}

pub(crate) struct Wait {
    pub(crate) entry: u128,
    pub(crate) wanted: Shown,
    /// The number, and from when the TTL counts.
    pub(crate) reply: Reply<Option<(u64, Moment)>>,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;
/// What a request comes to.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T>>;

impl Connection {
    /// The number of a lock that nobody else has, nor waits for.
    pub(crate) async fn lock(
        &self,
        entry: u128,
        wanted: Shown,
        by: Deadline,
    ) -> Result<Option<u64>> {
        let request = |reply| {
            Request::Lock(Lock {
                entry,
                wanted,
                reply,
            })
        };
        self.ask(request, by).await
    }

    pub(crate) async fn unlock(&self, entry: u128, by: Deadline) -> Result<bool> {
        let request = |reply| Request::Unlock(Unlock { entry, reply });
        self.ask(request, by).await
    }

    pub(crate) async fn beat(&self, by: Deadline) -> Result<Vec<u128>> {
        self.ask(Request::Beat, by).await
    }

    /// Begins to wait for a lock.
    pub(crate) fn wait(&self, entry: u128, wanted: Shown) -> Answer<Option<(u64, Moment)>> {
        self.send(|reply| {
            Request::Wait(Wait {
                entry,
                wanted,
                reply,
            })
        })
    }

    /// Says that the client of that connection lives, for as long as this one is kept alive.
    pub(crate) async fn vouch_for(self: &Arc<Self>, other: &Self, by: Deadline) -> Result<()> {
        other.ending.state().voucher = Arc::downgrade(self);
        let process = other.process.id;
        self.ask(|reply| Request::Vouch(process, reply), by).await
    }

    pub(crate) async fn clear_before(&self, other: &Self, by: Deadline) -> Result<Ahead> {
        let process = other.process.id;
        self.ask(|reply| Request::Clear(process, reply), by).await
    }

    /// Ends those in the line of this lock whose clients have died, and tells whether there were
    /// any.
    pub(crate) async fn bury(&self, key: Key, by: Deadline) -> Result<bool> {
        self.ask(|reply| Request::Bury(key, reply), by).await
    }

    /// Has the session ended as soon as the connection does.
    pub(crate) fn serves(&self, session: &Arc<Session<Client>>) {
        let mut state = self.ending.state();
        state.session = Arc::downgrade(session);
        let ended = state.ended;
        drop(state);
        if ended {
            self.ending.tell();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ending.state().ended
    }

    /// Whether that one says that the client of this one lives.
    pub(crate) fn is_vouched_for_by(&self, other: &Arc<Self>) -> bool {
        self.ending.state().voucher.as_ptr() == Arc::as_ptr(other)
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request, by: Deadline) -> Result<T> {
        let answer = self.send(request);
        by.bound(async { answer.await.unwrap_or_else(|_| Err(ended())) })
            .await
    }

    fn send<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        // If the task has ended, the answer says so.
        drop(self.requests.send(request(reply)));
        answer
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It may hang in a request.
        self.task.abort();
    }
}

impl Ending {
    /// The connection has ended: its session cannot be relied upon any more, and is ended on the
    /// server too.
    pub(crate) fn has_come(&self, process: i32) {
        let mut state = self.state();
        state.ended = true;
        let voucher = std::mem::take(&mut state.voucher);
        drop(state);
        if let Some(voucher) = voucher.upgrade() {
            drop(voucher.requests.send(Request::Disown(process)));
        }
        self.tell();
    }

    fn tell(&self) {
        let session = self.state().session.upgrade();
        if let Some(session) = session
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                // Whoever releases a claim asks again.
                drop(session.end(Deadline::within(session.ttl())).await);
            });
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request comes to that was not answered before the end.
pub(crate) fn ended() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection has ended; whether it did what was asked is not known",
    )
}
