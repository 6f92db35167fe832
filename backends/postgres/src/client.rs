use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::session::{Alive, Beat, Opened, SessionStore};
use distlock_core::{Deadline, Entry, Error, ErrorKind, LockState, Mode, Moment, Name, Result};
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::connection::Connection;
use crate::error;
use crate::key::Key;
use crate::opening;

/// A client of a server: opens connections that hold locks, and has some of another kind, for what
/// is asked about those.
pub(crate) struct Client {
    options: PgConnectOptions,
    control: PgPool,
}

impl Client {
    /// How many connections there are besides those that hold locks or wait for them.
    const CONTROLS: u32 = 2;

    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let control = PgPoolOptions::new()
            .max_connections(Self::CONTROLS)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options.clone().application_name("distlock control"));
        Self { options, control }
    }

    /// A connection that the server ends once it has not heard of it for `ttl`, and from when that
    /// counts.
    pub(crate) async fn connect(
        &self,
        ttl: Duration,
        by: Deadline,
    ) -> Result<(Arc<Connection>, Moment)> {
        opening::open(&self.options, ttl, by).await
    }

    /// Has the server cancel what this connection waits for.
    pub(crate) async fn cancel(&self, connection: &Connection, by: Deadline) -> Result<()> {
        let cancel = sqlx::query(
            "select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 \
             and (extract(epoch from backend_start) * 1000000)::bigint = $2",
        )
        .bind(connection.process.id)
        .bind(connection.process.began)
        .execute(&self.control);
        by.bound(async { cancel.await.map_err(error::of) }).await?;
        Ok(())
    }

    /// Has the server end this connection, and waits until it has.
    pub(crate) async fn terminate(&self, connection: &Connection, by: Deadline) -> Result<()> {
        connection.task.abort();
        let patience = i64::try_from(by.remaining().as_millis()).unwrap_or(i64::MAX);
        let terminate = sqlx::query(
            "select pg_terminate_backend(pid, greatest($3, 1)) from pg_stat_activity \
             where pid = $1 and (extract(epoch from backend_start) * 1000000)::bigint = $2",
        )
        .bind(connection.process.id)
        .bind(connection.process.began)
        .bind(patience)
        .fetch_optional(&self.control);
        let row = by
            .bound(async { terminate.await.map_err(error::of) })
            .await?;
        match row.map(|row| row.try_get(0)).transpose() {
            Ok(None | Some(true)) => Ok(()),
            Ok(Some(false)) => Err(Error::new(
                ErrorKind::Unavailable,
                "the server has not ended the connection in time",
            )),
            Err(error) => Err(error::of(error)),
        }
    }

    /// Who has the lock of this name, and who waits for it.
    pub(crate) async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let inspect = sqlx::query(
            "select granted, mode = 'ShareLock', \
             (extract(epoch from clock_timestamp() - waitstart) * 1000000)::bigint \
             from pg_locks where locktype = 'advisory' and objsubid = 1 \
             and database = (select oid from pg_database where datname = current_database()) \
             and classid::bigint << 32 | objid::bigint = $1 order by waitstart, pid",
        )
        .bind(Key::of(name).0)
        .fetch_all(&self.control);
        let rows = by.bound(async { inspect.await.map_err(error::of) }).await?;
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

    async fn open(&self, ttl: Duration, by: Deadline) -> Result<Opened<Arc<Connection>>> {
        let (connection, as_of) = self.connect(ttl, by).await?;
        Ok(Opened::new(connection, ttl, as_of))
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
