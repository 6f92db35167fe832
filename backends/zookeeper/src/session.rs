use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use zookeeper_client::{Client, Error as ZooKeeper, SessionState, StateWatcher};

use crate::dating::{Dating, Ticks};
use crate::error;
use crate::nursery::Nursery;
use crate::quiet::Quiet;

/// A session with the ensemble, under which claims have their nodes, and one of its own that is
/// written to keep it alive.
pub(crate) struct Session {
    /// Taken when it is to end.
    client: Mutex<Option<Client>>,
    state: StateWatcher,
    /// That of the claims under it.
    pub(crate) ttl: Duration,
    /// The path of its own node.
    pub(crate) node: String,
    dating: Mutex<Dating>,
    quiet: Mutex<Quiet>,
    nursery: Mutex<Nursery>,
    /// What touches it.
    toucher: Mutex<Option<AbortHandle>>,
}

impl Session {
    /// The session of this client, which was asked for then, for claims of this TTL.
    pub(crate) fn opened(
        client: Client,
        node: String,
        asked: Moment,
        ttl: Duration,
        ticks: Ticks,
    ) -> Arc<Self> {
        let session = Arc::new(Self {
            state: client.state_watcher(),
            client: Mutex::new(Some(client)),
            ttl,
            node,
            dating: Mutex::new(Dating::new(asked, ticks)),
            quiet: Mutex::default(),
            nursery: Mutex::default(),
            toucher: Mutex::default(),
        });
        let touching = touch(Arc::downgrade(&session), ticks.touch());
        let toucher = tokio::spawn(touching).abort_handle();
        *lock(&session.toucher) = Some(toucher);
        session
    }

    /// What asks for it, unless it is to end or has ended.
    pub(crate) fn client(&self) -> Result<Client> {
        lock(&self.client).clone().ok_or_else(error::over)
    }

    /// Whether the server has ended it, or this client has.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.peek_state().is_terminated() || lock(&self.client).is_none()
    }

    /// A write that was sent then has been answered: from when the TTL of its claims counts.
    pub(crate) fn written(&self, sent: Moment) -> Moment {
        lock(&self.dating).written(sent)
    }

    /// What is known of names that nobody else asks for.
    pub(crate) fn quiet(&self) -> MutexGuard<'_, Quiet> {
        lock(&self.quiet)
    }

    /// The holds under it that are too young to be watched.
    pub(crate) fn nursery(&self) -> MutexGuard<'_, Nursery> {
        lock(&self.nursery)
    }

    /// Has it ended, once the server can be reached: without a client it is closed.
    fn give_up(&self) {
        drop(lock(&self.client).take());
    }

    /// Ends it.
    pub(crate) async fn end(&self, by: Deadline) -> Result<()> {
        self.give_up();
        let mut state = self.state.clone();
        by.bound(async {
            while !state.state().is_terminated() {
                state.changed().await;
            }
            Ok(())
        })
        .await
    }
}

/// Lets the server hear something of the session again and again, which the leader is told. Once
/// nothing has been written for a TTL, the claims under it have been given up, and it is too: the
/// client would keep it alive by itself.
async fn touch(session: Weak<Session>, pause: Duration) {
    loop {
        sleep(pause).await;
        let sent = Moment::now();
        let Some(touched) = session.upgrade() else {
            return;
        };
        if lock(&touched.dating).as_of().elapsed() >= touched.ttl {
            return touched.give_up();
        }
        let Ok(client) = touched.client() else {
            return;
        };
        let answer = client.check_stat(&touched.node);
        // Whoever waits for an answer is not to keep the session.
        drop((client, touched));
        let answer = answer.await;
        if answer.is_ok()
            && let Some(session) = session.upgrade()
        {
            lock(&session.dating).answered(sent);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(toucher) = lock(&self.toucher).take() {
            toucher.abort();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("node", &self.node)
            .field("state", &self.state.peek_state())
            .finish_non_exhaustive()
    }
}

/// Whether the server says that there is no such session.
pub(crate) fn is_end(error: &ZooKeeper) -> bool {
    matches!(error, ZooKeeper::SessionExpired | ZooKeeper::SessionMoved)
}

/// That a session of another time-out was granted than the claims under it need.
pub(crate) fn check(granted: Duration, asked: Duration, least: Duration) -> Result<()> {
    let fault = if granted > asked {
        "its tickTime or minSessionTimeout is more"
    } else if granted < least {
        "its maxSessionTimeout is less"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Misconfigured,
        format!(
            "the server keeps a session for {granted:?} where {asked:?} was asked for: {fault} \
             than this client was told; say by the options `tick_time` and `max_session_timeout` \
             what its settings are"
        ),
    ))
}

/// The state of a client, for whoever asks whether it is of use.
pub(crate) fn is_usable(client: &Client) -> bool {
    !matches!(
        client.state(),
        SessionState::Closed | SessionState::Expired | SessionState::AuthFailed
    )
}
