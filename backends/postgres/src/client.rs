use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::session::{self, Alive, Beat, SessionStore};
use distlock_core::{Deadline, Entry, Error, ErrorKind, LockState, Mode, Moment, Name, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::connection::{self, Connection};
use crate::control::Control;
use crate::error;
use crate::key::Key;
use crate::opening::{self, Opened, Reached};
use crate::statements::CLASS;

/// A client of a server: opens connections that hold locks, and has some of another kind, for what
/// is asked about those.
pub(crate) struct Client {
    options: PgConnectOptions,
    control: Arc<Control>,
    /// No pooler was found between.
    is_direct: Arc<AtomicBool>,
    /// Connections, by TTL, that nobody has waited for to the end.
    opening: Mutex<Vec<(Duration, Opening)>>,
    spare: Mutex<Option<Spare>>,
}

/// A connection that was opened before its TTL was known.
struct Spare {
    ttl: oneshot::Sender<Duration>,
    opening: Opening,
}

type Opening = JoinHandle<Result<Opened>>;

/// How long it may take to open a connection.
const OPENING: Duration = Duration::from_secs(10);
/// For how long a connection is kept that nobody uses.
const SPARED: Duration = Duration::from_secs(60);

impl Client {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        // Those that wait for a lock take their time.
        let options = options.disable_statement_logging();
        Self {
            control: Arc::new(Control::new(options.clone())),
            options,
            is_direct: Arc::default(),
            opening: Mutex::default(),
            spare: Mutex::default(),
        }
    }

    /// Opens a connection such as holds locks, to see that it can be had. The first lock uses it.
    pub(crate) async fn check(&self) -> Result<()> {
        let (checked, outcome) = oneshot::channel();
        let (ttl, told) = oneshot::channel();
        let reaching = self.reach(SPARED);
        let opening = tokio::spawn(async move {
            let reached = match reaching.await {
                Ok(reached) => reached,
                Err(error) => {
                    drop(checked.send(Err(error.clone())));
                    return Err(error);
                }
            };
            drop(checked.send(Ok(())));
            let Ok(Ok(ttl)) = tokio::time::timeout(SPARED, told).await else {
                return Err(connection::ended());
            };
            let reached = reached.with_ttl(ttl, Deadline::within(OPENING)).await?;
            Ok(reached.serve())
        });
        outcome.await.unwrap_or_else(|_| Err(connection::ended()))?;
        *self.spare() = Some(Spare { ttl, opening });
        Ok(())
    }

    /// A connection that the server ends once it has not heard of it for `ttl`, and from when that
    /// counts.
    ///
    /// To open one may take longer than a request may. It goes on then, for whoever asks next.
    pub(crate) async fn connect(&self, ttl: Duration, by: Deadline) -> Result<Opened> {
        loop {
            let mut opening = self.take_opening(ttl).unwrap_or_else(|| self.begin(ttl));
            let opened = tokio::time::timeout(by.remaining(), &mut opening).await;
            match opened {
                Ok(Ok(Ok(opened))) if opened.is_stale(ttl) => {}
                Ok(Ok(opened)) => return opened,
                Ok(Err(_)) => return Err(connection::ended()),
                Err(_) => {
                    self.opening().push((ttl, opening));
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the connection to the server is still being opened",
                    ));
                }
            }
        }
    }

    fn begin(&self, ttl: Duration) -> Opening {
        let spare = self.spare().take();
        if let Some(spare) = spare
            && spare.ttl.send(ttl).is_ok()
        {
            return spare.opening;
        }
        let reaching = self.reach(ttl);
        tokio::spawn(async move { Ok(reaching.await?.serve()) })
    }

    fn reach(&self, ttl: Duration) -> impl Future<Output = Result<Reached>> + Send + use<> {
        let (options, control) = (self.options.clone(), Arc::clone(&self.control));
        let is_direct = Arc::clone(&self.is_direct);
        async move {
            let by = Deadline::within(OPENING);
            let is_known = is_direct.load(Ordering::Relaxed);
            let other = (!is_known).then_some(&*control);
            let reached = opening::reach(&options, other, ttl, by).await?;
            is_direct.store(true, Ordering::Relaxed);
            Ok(reached)
        }
    }

    fn take_opening(&self, ttl: Duration) -> Option<Opening> {
        let mut opening = self.opening();
        let place = opening.iter().position(|(of, _)| *of == ttl)?;
        Some(opening.swap_remove(place).1)
    }

    fn opening(&self) -> MutexGuard<'_, Vec<(Duration, Opening)>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Option<Spare>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the server cancel what this connection waits for.
    pub(crate) async fn cancel(&self, connection: &Connection, by: Deadline) -> Result<()> {
        let cancel = sqlx::query(
            "select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 \
             and (extract(epoch from backend_start) * 1000000)::bigint = $2",
        )
        .bind(connection.process.id)
        .bind(connection.process.began);
        self.control.ask(cancel, by).await.map(drop)
    }

    /// Has the server end this connection, and waits until it has.
    pub(crate) async fn terminate(&self, connection: &Connection, by: Deadline) -> Result<()> {
        connection.task.abort();
        loop {
            let patience = i64::try_from(by.remaining().as_millis()).unwrap_or(i64::MAX);
            let terminate = sqlx::query(
                "select pg_terminate_backend(pid, greatest($3, 1)) from pg_stat_activity \
                 where pid = $1 and (extract(epoch from backend_start) * 1000000)::bigint = $2",
            )
            .bind(connection.process.id)
            .bind(connection.process.began)
            .bind(patience);
            let rows = self.control.ask(terminate, by).await?;
            match rows.first().map(|row| row.try_get(0)).transpose() {
                Ok(None | Some(true)) => return Ok(()),
                Ok(Some(false)) if by.remaining().is_zero() => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "the server has not ended the connection in time",
                    ));
                }
                // It may have ended by itself since it was seen, which the server does not tell
                // apart.
                Ok(Some(false)) => {}
                Err(error) => return Err(error::of(error)),
            }
        }
    }

    /// Who has the lock of this name, and who waits for it. Who has died while it waited does not
    /// count, be it that it was granted the lock: whoever wants it ends that one.
    pub(crate) async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let inspect = sqlx::query(
            "select l.granted, l.mode = 'ShareLock', \
             (extract(epoch from clock_timestamp() - l.waitstart) * 1000000)::bigint \
             from pg_locks as l left join pg_stat_activity as a on a.pid = l.pid \
             where l.locktype = 'advisory' and l.objsubid = 1 \
             and l.database = (select oid from pg_database where datname = current_database()) \
             and l.classid::bigint << 32 | l.objid::bigint = $1 \
             and (a.application_name !~ '^distlock waiting [0-9]+$' or exists \
               (select from pg_locks as v where v.locktype = 'advisory' and v.objsubid = 2 \
                and v.granted and v.database = l.database and v.classid = $2::oid \
                and v.objid = l.pid::oid)) \
             order by l.waitstart, l.pid",
        )
        .bind(Key::of(name).0)
        .bind(CLASS);
        let rows = self.control.ask(inspect, by).await?;
        let mut state = LockState::default();
        for row in rows {
            let entry = (|| {
                let shared = row.try_get(1)?;
                let mut entry = Entry::new(if shared {
                    Mode::Shared
                } else {
                    Mode::Exclusive
                });
                entry.age = row
                    .try_get::<Option<i64>, _>(2)?
                    .map(|age| Duration::from_micros(u64::try_from(age).unwrap_or(0)));
                Ok((row.try_get(0)?, entry))
            })();
            match entry.map_err(error::of)? {
                (true, entry) => state.holders.push(entry),
                (false, entry) => state.waiters.push(entry),
            }
        }
        Ok(state)
    }
}

#[async_trait]
impl SessionStore for Client {
    type Handle = Arc<Connection>;

    async fn open(&self, ttl: Duration, by: Deadline) -> Result<session::Opened<Arc<Connection>>> {
        let Opened { connection, as_of } = self.connect(ttl, by).await?;
        Ok(session::Opened::new(connection, ttl, as_of))
    }

    async fn beat(&self, connection: &Arc<Connection>, by: Deadline) -> Result<Beat> {
        let as_of = Moment::now();
        let entries = connection.beat(by).await?;
        Ok(Beat::Alive(Alive::new(as_of, Some(entries))))
    }

    async fn remove(
        &self,
        connection: &Arc<Connection>,
        entries: &[u128],
        by: Deadline,
    ) -> Result<()> {
        for entry in entries {
            connection.unlock(*entry, by).await?;
        }
        Ok(())
    }

    async fn end(&self, connection: &Arc<Connection>, by: Deadline) -> Result<()> {
        self.terminate(connection, by).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options hold a password.
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
