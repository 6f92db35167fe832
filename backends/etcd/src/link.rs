use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use etcd_client::{Client, ConnectOptions, KvClient, LeaseClient, MaintenanceClient, WatchClient};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::error::{self, unavailable};
use crate::version;
use crate::writes::Writes;

/// The way to the servers: a connection to one of them, on which everything is asked. It is made
/// when it is needed, and to the next of them after it broke or fell silent.
pub(crate) struct Link {
    servers: Vec<String>,
    options: ConnectOptions,
    current: Mutex<Current>,
    /// Which connection is the current one.
    number: watch::Sender<usize>,
    /// To have something written.
    turns: Semaphore,
}

#[derive(Default)]
struct Current {
    number: usize,
    connecting: Option<Connecting>,
}

/// A connection that is there, or on its way.
type Connecting = watch::Receiver<Option<Result<Connection>>>;

/// A connection to one server.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) number: usize,
    pub(crate) kv: KvClient,
    pub(crate) writes: Writes,
    pub(crate) lease: LeaseClient,
    pub(crate) maintenance: MaintenanceClient,
    pub(crate) watch: WatchClient,
    /// Since when something was asked and nothing answered.
    silent_since: Arc<Mutex<Option<Moment>>>,
}

impl Link {
    /// How long it may take to be let in.
    const CONNECT: Duration = Duration::from_secs(5);
    /// How long a server may be silent before another is asked. One that is only slow is better
    /// waited for.
    const SILENCE: Duration = Duration::from_secs(1);
    /// So much is to be written at a time, at the most. A server that has not done 5,000 writes
    /// refuses the next, whoever asks for it.
    const WRITES: usize = 512;

    pub(crate) fn new(servers: Vec<String>, options: ConnectOptions) -> Self {
        Self {
            servers,
            // A member that has lost its leader says so, rather than wait for another.
            options: options
                .with_require_leader(true)
                .with_auto_token_refresh(true),
            current: Mutex::default(),
            number: watch::Sender::new(0),
            turns: Semaphore::new(Self::WRITES),
        }
    }

    /// Finds a server that locks can be taken at, and the shortest TTL that it takes.
    pub(crate) async fn greet(self: &Arc<Self>) -> Result<Duration> {
        let mut greeted = self.greet_one().await;
        for _ in 1..self.servers.len() {
            match &greeted {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    greeted = self.greet_one().await;
                }
                _ => break,
            }
        }
        greeted
    }

    async fn greet_one(self: &Arc<Self>) -> Result<Duration> {
        let by = Deadline::within(Self::CONNECT);
        let number = by.bound(self.connection()).await?.number;
        let request =
            |mut connection: Connection| async move { connection.maintenance.status().await };
        let greeted = self.ask(request, by).await;
        if greeted.is_err() {
            self.leave(number);
        }
        version::check(greeted?.version())?;
        // A server takes a TTL that is too short for the shortest that it knows.
        let request = |mut connection: Connection| async move {
            let granted = connection.lease.grant(1, None).await?;
            connection.lease.revoke(granted.id()).await?;
            Ok(granted.ttl())
        };
        let shortest = self.ask(request, by).await?;
        Ok(Duration::from_secs(shortest.max(1).unsigned_abs()))
    }

    /// Which connection is the current one, and whenever that changes.
    pub(crate) fn number(&self) -> watch::Receiver<usize> {
        self.number.subscribe()
    }

    /// Asks a server.
    pub(crate) async fn ask<T, F>(
        self: &Arc<Self>,
        request: impl FnOnce(Connection) -> F + Send,
        by: Deadline,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, etcd_client::Error>> + Send,
    {
        let connection = by.bound(self.connection()).await?;
        let request = request(connection.clone());
        let request = async { request.await.map_err(error::of) };
        self.answer(&connection, request, by).await?
    }

    /// The answer to a request on this connection, or an error if there is none in time.
    pub(crate) async fn answer<T, F>(
        &self,
        connection: &Connection,
        request: F,
        by: Deadline,
    ) -> Result<Result<T>>
    where
        F: Future<Output = Result<T>> + Send,
    {
        connection.asks();
        let answered = by.bound(async { Ok(request.await) }).await;
        let is_useless = match &answered {
            Ok(answer) => {
                connection.is_answered();
                answer.as_ref().is_err_and(error::is_of_connection)
            }
            Err(_) => connection.is_silent(),
        };
        if is_useless {
            self.leave(connection.number);
        }
        answered
    }

    /// A turn to have something written.
    pub(crate) async fn turn(&self, by: Deadline) -> Result<SemaphorePermit<'_>> {
        let turn = async {
            self.turns
                .acquire()
                .await
                .map_err(|_| unavailable("closed"))
        };
        by.bound(turn).await
    }

    /// The connection, which may have to be made first.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Connection> {
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

    /// Lets go of this connection, if it is the current one.
    pub(crate) fn leave(&self, number: usize) {
        let mut current = self.current();
        if current.number == number {
            current.number += 1;
            current.connecting = None;
            self.number.send_replace(current.number);
        }
    }

    fn connecting(self: &Arc<Self>) -> Connecting {
        let mut current = self.current();
        if let Some(connecting) = &current.connecting {
            match &*connecting.borrow() {
                None if connecting.has_changed().is_ok() => return connecting.clone(),
                Some(Ok(_)) => return connecting.clone(),
                // The runtime that was to make it has shut down, or it could not be made.
                _ => {}
            }
            current.number += 1;
            self.number.send_replace(current.number);
        }
        let (made, connecting) = watch::channel(None);
        let (link, number) = (Arc::clone(self), current.number);
        // In a task of its own: it may take longer than any one request may.
        tokio::spawn(async move {
            made.send_replace(Some(link.connect(number).await));
        });
        current.connecting.insert(connecting).clone()
    }

    async fn connect(&self, number: usize) -> Result<Connection> {
        let server = &self.servers[number % self.servers.len()];
        let by = Deadline::within(Self::CONNECT);
        let client = by.bound(async {
            Client::connect([server], Some(self.options.clone()))
                .await
                .map_err(error::of)
        });
        let client = client.await?;
        // What is shown of many lines at once is as long as they are together.
        let kv = client.kv_client().max_decoding_message_size(usize::MAX);
        let writes = Writes::on(kv.clone());
        Ok(Connection {
            number,
            kv,
            writes,
            lease: client.lease_client(),
            maintenance: client.maintenance_client(),
            watch: client.watch_client(),
            silent_since: Arc::default(),
        })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        lock(&self.current)
    }
}

impl Connection {
    fn asks(&self) {
        lock(&self.silent_since).get_or_insert_with(Moment::now);
    }

    fn is_answered(&self) {
        *lock(&self.silent_since) = None;
    }

    fn is_silent(&self) -> bool {
        lock(&self.silent_since).is_some_and(|since| since.elapsed() >= Link::SILENCE)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options may hold a password.
        f.debug_struct("Link")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
