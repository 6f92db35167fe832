use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use distlock_core::{Deadline, Result};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection as _, Postgres};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error;

/// Connections over which something is asked about those that hold locks: a few at most, which the
/// server ends when they are idle. One that does not answer in time is used no more.
pub(crate) struct Control {
    options: PgConnectOptions,
    room: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

/// One of these connections, in use.
pub(crate) struct Lent<'a> {
    pub(crate) connection: PgConnection,
    control: &'a Control,
    _room: SemaphorePermit<'a>,
}

impl Control {
    const MOST: usize = 2;

    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self {
            options: options.application_name("distlock control"),
            room: Semaphore::new(Self::MOST),
            idle: Mutex::default(),
        }
    }

    /// What the server answers to this.
    pub(crate) async fn ask(
        &self,
        query: Query<'_, Postgres, PgArguments>,
        by: Deadline,
    ) -> Result<Vec<PgRow>> {
        let asked = async {
            let mut lent = self.lend().await?;
            let rows = query.fetch_all(&mut lent.connection).await;
            let rows = rows.map_err(error::of)?;
            lent.give_back();
            Ok(rows)
        };
        by.bound(asked).await
    }

    pub(crate) async fn lend(&self) -> Result<Lent<'_>> {
        let room = self.room.acquire().await.expect("it is never closed");
        Ok(Lent {
            connection: self.connection().await.map_err(error::of)?,
            control: self,
            _room: room,
        })
    }

    async fn connection(&self) -> Result<PgConnection, sqlx::Error> {
        loop {
            let Some(mut idle) = self.idle().pop() else {
                return self.open().await;
            };
            if idle.ping().await.is_ok() {
                return Ok(idle);
            }
        }
    }

    async fn open(&self) -> Result<PgConnection, sqlx::Error> {
        const IDLE: &str = "select set_config(name, '60000', false) from pg_settings \
                            where name = 'idle_session_timeout'";
        let mut connection = self.options.connect().await?;
        sqlx::raw_sql(IDLE).execute(&mut connection).await?;
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// It has answered all that it was asked.
    pub(crate) fn give_back(self) {
        self.control.idle().push(self.connection);
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options hold a password.
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
