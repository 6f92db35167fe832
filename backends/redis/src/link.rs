use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use distlock_core::{Deadline, Error, ErrorKind, Result};
use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::watch;

use crate::connection::{Answered, Connection};
use crate::error;
use crate::greeting;
use crate::memory;
use crate::request::Request;
use crate::route::Route;
use crate::script::Invocation;
use crate::waiters::Waiters;

/// The way to the server: one connection, on which requests go out and grants come in. It is made
/// when it is needed, and anew after it broke.
pub(crate) struct Link {
    route: Route,
    /// Where grants to this client's claims are published.
    channel: String,
    waiters: Arc<Waiters>,
    connected: AtomicU64,
    current: Mutex<Option<Connecting>>,
}

/// A connection that is there, or on its way.
type Connecting = watch::Receiver<Option<Result<Arc<Connection>>>>;

impl Link {
    /// How long it may take to find a server that takes up a connection.
    const CONNECT: Duration = Duration::from_secs(5);

    pub(crate) fn new(route: Route) -> Self {
        Self {
            route,
            channel: format!("distlock:{:016x}", fastrand::u64(..)),
            waiters: Arc::default(),
            connected: AtomicU64::new(0),
            current: Mutex::default(),
        }
    }

    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// Connects, and checks that locks can be taken at the server. Later the same server may turn
    /// out to be a replica for a while, which is no fault of who configured this.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<()> {
        let connection = self.connection().await?;
        let by = Deadline::within(Self::CONNECT);
        let greeting = by.bound(async { connection.greeting().await.map_err(error::of) });
        if let Some(greeting) = greeting.await? {
            greeting::check(&greeting)?;
        }
        let memory = by.bound(async { connection.memory().await.map_err(error::of) });
        memory::check(memory.await);
        Ok(())
    }

    /// Asks for this on behalf of a claim.
    pub(crate) async fn ask(self: &Arc<Self>, request: &Request, by: Deadline) -> Result<Answered> {
        self.on_connection(by, async |connection| connection.ask(request, by).await)
            .await
    }

    /// Has a script run.
    pub(crate) async fn run(
        self: &Arc<Self>,
        invocation: &Invocation<'_>,
        by: Deadline,
    ) -> Result<Answered> {
        self.on_connection(by, async |connection| connection.run(invocation).await)
            .await
    }

    async fn on_connection(
        self: &Arc<Self>,
        by: Deadline,
        ask: impl AsyncFnOnce(&Arc<Connection>) -> RedisResult<Answered>,
    ) -> Result<Answered> {
        let mut asked = None;
        let answered = by.bound(async {
            let connection = asked.insert(self.connection().await?);
            Ok(ask(connection).await)
        });
        match answered.await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(refused)) => {
                if let Some(connection) = asked
                    && error::is_misplaced(&refused)
                {
                    self.leave(connection.number);
                }
                Err(error::of(refused))
            }
            Err(unanswered) => {
                if let Some(connection) = asked
                    && connection.is_silent()
                {
                    self.leave(connection.number);
                }
                Err(unanswered)
            }
        }
    }

    /// The connection, which may have to be made first.
    async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>> {
        if let Some(made) = self.made() {
            return Ok(made);
        }
        let mut connecting = self.connecting();
        let made = connecting.wait_for(Option::is_some).await;
        match made.as_deref() {
            Ok(Some(made)) => made.clone(),
            _ => Err(Error::new(
                ErrorKind::Unavailable,
                "the runtime that the connection was to live in has shut down",
            )),
        }
    }

    /// The connection, if it is there.
    fn made(&self) -> Option<Arc<Connection>> {
        let current = self.current();
        let made = current.as_ref()?.borrow();
        Some(Arc::clone(made.as_ref()?.as_ref().ok()?))
    }

    fn connecting(self: &Arc<Self>) -> Connecting {
        let mut current = self.current();
        if let Some(connecting) = &*current
            && is_usable(connecting)
        {
            return connecting.clone();
        }
        let (made, connecting) = watch::channel(None);
        let link = Arc::clone(self);
        // In a task of its own: it may take longer than any one request may.
        tokio::spawn(async move {
            made.send_replace(Some(link.make_connection().await));
        });
        current.insert(connecting).clone()
    }

    async fn make_connection(self: &Arc<Self>) -> Result<Arc<Connection>> {
        let number = self.connected.fetch_add(1, Ordering::Relaxed);
        let link = Arc::downgrade(self);
        let hear = move |push| hear(&link, number, &push);
        let by = Deadline::within(Self::CONNECT);
        by.bound(async {
            let made = Connection::made(&self.route, number, &self.channel, hear).await;
            made.map(Arc::new).map_err(error::of)
        })
        .await
    }

    /// Lets go of a connection that broke. Those who wait have to look, since nobody tells them of
    /// what happens until there is another.
    fn leave(&self, number: u64) {
        let mut current = self.current();
        let is_current = current.as_ref().is_some_and(|connecting| {
            matches!(&*connecting.borrow(), Some(Ok(connection)) if connection.number == number)
        });
        if is_current {
            *current = None;
            drop(current);
            self.waiters.look();
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Connecting>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is worth waiting for, or there.
fn is_usable(connecting: &Connecting) -> bool {
    match &*connecting.borrow() {
        None => connecting.has_changed().is_ok(),
        Some(made) => made.is_ok(),
    }
}

/// What the server says unasked, on the thread that reads.
fn hear(link: &Weak<Link>, number: u64, push: &PushInfo) {
    let Some(link) = link.upgrade() else {
        return;
    };
    match (&push.kind, push.data.as_slice()) {
        (PushKind::Disconnection, _) => link.leave(number),
        (PushKind::Message, [_channel, Value::BulkString(message)]) => {
            link.waiters.tell(message);
        }
        _ => {}
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
