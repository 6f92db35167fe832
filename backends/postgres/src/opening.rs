//! How a connection is opened, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection as _, Row};
use tokio::sync::mpsc;

use crate::connection::{Connection, Ending, Process};
use crate::control::Control;
use crate::error;
use crate::sequence;
use crate::statements::{HOLDING, last_row};
use crate::table::Table;
use crate::task::ConnectionTask;

/// Of one server's lock table, which all of its applications share, a connection takes this part.
const SHARE: i32 = 3;

/// A connection, and from when its TTL counts.
pub(crate) struct Opened {
    pub(crate) connection: Arc<Connection>,
    pub(crate) as_of: Moment,
}

/// A connection that is fit to hold locks, and that nobody serves yet.
pub(crate) struct Reached {
    listener: PgListener,
    process: Process,
    most: usize,
    ttl: Duration,
    as_of: Moment,
}

/// Connects to a server, which ends the connection once it has not heard of it for `ttl`. Over
/// another one it is found out, if that is not known, whether there is a pooler between.
pub(crate) async fn reach(
    options: &PgConnectOptions,
    other: Option<&Control>,
    ttl: Duration,
    by: Deadline,
) -> Result<Reached> {
    let mut listener = by.bound(connect(options, by)).await?;
    if let Some(other) = other {
        by.bound(refuse_pooler(&mut listener, other)).await?;
    }
    let (process, most) = by.bound(prepare(&mut listener, ttl)).await?;
    let as_of = Moment::now();
    by.bound(sequence::begin(&mut listener)).await?;
    Ok(Reached {
        listener,
        process,
        most,
        ttl,
        as_of,
    })
}

impl Reached {
    /// The same with another TTL.
    pub(crate) async fn with_ttl(mut self, ttl: Duration, by: Deadline) -> Result<Self> {
        (self.ttl, self.as_of) = (ttl, Moment::now());
        by.bound(prepare(&mut self.listener, ttl)).await?;
        Ok(self)
    }

    /// Has a task of its own serve it.
    pub(crate) fn serve(self) -> Opened {
        let (requests, asked) = mpsc::unbounded_channel();
        let ending = Arc::<Ending>::default();
        let task = ConnectionTask {
            listener: self.listener,
            requests: asked,
            process: self.process.id,
            ttl: self.ttl,
            most: self.most,
            table: Table::default(),
            in_doubt: false,
            ending: Arc::clone(&ending),
        };
        let connection = Connection {
            process: self.process,
            ttl: self.ttl,
            requests,
            task: tokio::spawn(task.run()).abort_handle(),
            ending,
        };
        Opened {
            connection: Arc::new(connection),
            as_of: self.as_of,
        }
    }
}

impl Opened {
    /// Whether the server is about to end it, since nobody has used it.
    pub(crate) fn is_stale(&self, ttl: Duration) -> bool {
        self.connection.has_ended() || self.as_of.elapsed() > ttl / 2
    }
}

/// A listener is the one kind of connection that hears the server while nothing is asked. It comes
/// with a pool, of which it has the only connection.
async fn connect(options: &PgConnectOptions, by: Deadline) -> Result<PgListener> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(by.remaining())
        .acquire_slow_threshold(by.remaining())
        .connect_lazy_with(options.clone());
    let connected = tokio::select! {
        biased;
        connected = PgListener::connect_with(&pool) => connected.map_err(error::of),
        error = trouble(options) => Err(error),
    };
    let mut listener = connected?;
    listener.eager_reconnect(false);
    // Nobody else has the pool.
    listener.ignore_pool_close_event(true);
    Ok(listener)
}

/// Why there is no connection for a while. A pool goes on trying, and does not tell why.
async fn trouble(options: &PgConnectOptions) -> Error {
    const WHILE: Duration = Duration::from_millis(300);
    tokio::time::sleep(WHILE).await;
    match options.connect().await {
        Err(error) => error::of(error),
        // The server is only slow.
        Ok(connection) => {
            drop(connection.close().await);
            std::future::pending().await
        }
    }
}

/// Refuses servers that cannot be used, and has this one end the session by its TTL, and by nothing
/// else. Tells which process serves it, and how many locks it may take.
async fn prepare(listener: &mut PgListener, ttl: Duration) -> Result<(Process, usize)> {
    let settings: Vec<_> = settings(ttl)
        .iter()
        .map(|(name, value)| format!("('{name}', '{value}')"))
        .collect();
    let statements = format!(
        "select set_config(name, value, false) from (values {}) as s(name, value) \
         where current_setting(name, true) is not null; \
         select current_setting('server_version_num')::int as version, \
         pg_is_in_recovery() as is_standby, pg_backend_pid() as id, \
         (extract(epoch from backend_start) * 1000000)::bigint as began, \
         current_setting('max_locks_per_transaction')::int * \
         (current_setting('max_connections')::int + \
         current_setting('max_prepared_transactions')::int) as locks \
         from pg_stat_get_activity(pg_backend_pid())",
        settings.join(", ")
    );
    let row = last_row(listener, &statements).await.map_err(error::of)?;
    let facts = || -> Result<(i32, bool, i32, i64, i32), sqlx::Error> {
        Ok((
            row.try_get("version")?,
            row.try_get("is_standby")?,
            row.try_get("id")?,
            row.try_get("began")?,
            row.try_get("locks")?,
        ))
    };
    let (version, is_standby, id, began, locks) = facts().map_err(error::of)?;
    check(version, is_standby)?;
    let most = usize::try_from(locks / SHARE).unwrap_or(0);
    Ok((Process { id, began }, most))
}

/// Whether locks can be taken at a server of this version.
fn check(version: i32, is_standby: bool) -> Result<()> {
    if version < 140_000 {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "the server is PostgreSQL {}; only from 14 on does a server end sessions that \
                 are idle, so use one of those",
                version / 10_000
            ),
        ));
    }
    if is_standby {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            "the server is a standby, which grants locks that are held on its primary; connect to \
             the primary",
        ));
    }
    Ok(())
}

/// If two connections meet the same process of the server, there is a pooler that lends a process
/// for a transaction at a time. It gives out the one that it has had back last, but others may come
/// between.
async fn refuse_pooler(listener: &mut PgListener, control: &Control) -> Result<()> {
    const ROUNDS: usize = 3;
    let mut other = control.lend().await?;
    for _ in 0..ROUNDS {
        let own = last_row(&mut *listener, PROCESS).await.and_then(process);
        let met = last_row(&mut other.connection, PROCESS)
            .await
            .and_then(process);
        if own.map_err(error::of)? == met.map_err(error::of)? {
            return Err(error::pooled());
        }
    }
    other.give_back();
    Ok(())
}

const PROCESS: &str = "select pg_backend_pid()";

fn process(row: PgRow) -> Result<i32, sqlx::Error> {
    row.try_get(0)
}

/// Settings of the session. Those that a server does not have are left out.
fn settings(ttl: Duration) -> [(&'static str, String); 15] {
    let ms = |time: Duration| time.as_millis().to_string();
    let seconds = |time: Duration| time.as_secs().max(1).to_string();
    let off = || "0".to_owned();
    [
        ("application_name", HOLDING.to_owned()),
        // The TTL.
        ("idle_session_timeout", ms(ttl)),
        ("idle_in_transaction_session_timeout", ms(ttl)),
        // The end of a client whose connection is cut while it waits, or while an answer is on its
        // way.
        (
            "client_connection_check_interval",
            ms((ttl / 8).max(Duration::from_millis(100))),
        ),
        ("tcp_keepalives_idle", seconds(ttl / 3)),
        ("tcp_keepalives_interval", seconds(ttl / 6)),
        ("tcp_keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", ms(ttl)),
        // A number counts as given once it is on the disk. While a standby were waited for, the
        // server would end nothing, however long the client has been dead.
        ("synchronous_commit", "local".to_owned()),
        // Whatever else would end it, or what it does.
        ("statement_timeout", off()),
        ("lock_timeout", off()),
        ("transaction_timeout", off()),
        // To plan a statement takes longer than to do it, and each is done the same way every time.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_end_no_idle_session_are_refused() {
        let error = check(130_022, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().contains("PostgreSQL 13"), "{error}");
        assert!(check(140_000, false).is_ok());
        assert!(check(180_001, true).is_err());
    }
}
