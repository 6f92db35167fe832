use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;

use crate::connection::Connection;
use crate::error;
use crate::greeting;
use crate::memory;
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
type Connecting = watch::Receiver<Option<Result<Connection>>>;

/// An answer, and an instant before the request for it was sent.
pub(crate) struct Answered {
    pub(crate) value: Value,
    pub(crate) sent: Moment,
}

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
        let mut connection = self.connection().await?;
        let by = Deadline::within(Self::CONNECT);
        let greeting = by.bound(async { connection.greeting().await.map_err(error::of) });
        if let Some(greeting) = greeting.await? {
            greeting::check(&greeting)?;
        }
        let memory = by.bound(async { connection.memory().await.map_err(error::of) });
        memory::check(memory.await);
        Ok(())
    }

    /// Has a script run.
    pub(crate) async fn run(
        self: &Arc<Self>,
        invocation: Invocation<'_>,
        by: Deadline,
    ) -> Result<Answered> {
        let mut asked = None;
        let answered = by.bound(async {
            let connection = asked.insert(self.connection().await?);
            let sent = Moment::now();
            let value = connection.run(&invocation).await;
            Ok(value.map(|value| Answered { value, sent }))
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
    async fn connection(self: &Arc<Self>) -> Result<Connection> {
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

    async fn make_connection(self: &Arc<Self>) -> Result<Connection> {
        let number = self.connected.fetch_add(1, Ordering::Relaxed);
        let link = Arc::downgrade(self);
        let hear = move |push| hear(&link, number, &push);
        let by = Deadline::within(Self::CONNECT);
        by.bound(async {
            Connection::made(&self.route, number, &self.channel, hear)
                .await
                .map_err(error::of)
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
