//! How a connection is opened, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Row};
use tokio::sync::mpsc;

use crate::connection::{Connection, Ending, Process};
use crate::error::{self, code, has_code};
use crate::statements::{CLASS, HOLDING};
use crate::table::Table;
use crate::task::ConnectionTask;

/// Of one server's lock table, which all of its applications share, a connection takes this part.
const SHARE: i32 = 3;

/// The keys, within the class, under which the sequence is looked after.
mod key {
    /// Had by who looks whether it has to be set.
    pub(super) const LOOKS: i32 = -1;
    /// Shared by all connections that take numbers.
    pub(super) const USES: i32 = -2;
}

/// A connection, and from when its TTL counts.
pub(crate) struct Opened {
    pub(crate) connection: Arc<Connection>,
    pub(crate) as_of: Moment,
}

/// Opens a connection that the server ends once it has not heard of it for `ttl`.
pub(crate) async fn open(
    options: &PgConnectOptions,
    ttl: Duration,
    by: Deadline,
) -> Result<Opened> {
    let mut listener = by.bound(connect(options, by)).await?;
    let (process, most) = by.bound(prepare(&mut listener, ttl)).await?;
    let as_of = Moment::now();
    by.bound(begin_to_number(&mut listener)).await?;
    let (requests, asked) = mpsc::unbounded_channel();
    let ending = Arc::<Ending>::default();
    let task = ConnectionTask {
        listener,
        requests: asked,
        process: process.id,
        ttl,
        most,
        table: Table::default(),
        in_doubt: false,
        ending: Arc::clone(&ending),
    };
    let task = tokio::spawn(task.run()).abort_handle();
    let connection = Connection {
        process,
        ttl,
        requests,
        task,
        ending,
    };
    Ok(Opened {
        connection: Arc::new(connection),
        as_of,
    })
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
        .connect_lazy_with(options.clone());
    let connected = tokio::select! {
        biased;
        connected = PgListener::connect_with(&pool) => connected.map_err(error::of),
        error = trouble(options) => Err(error),
    };
    let mut listener = connected?;
    listener.eager_reconnect(false);
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
    let most = usize::try_from(locks / SHARE).unwrap_or(0);
    Ok((Process { id, began }, most))
}

/// Settings of the session. Those that a server does not have are left out.
fn settings(ttl: Duration) -> [(&'static str, String); 14] {
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
        // A number counts as given once it is on the disk.
        ("synchronous_commit", "on".to_owned()),
        // Whatever else would end it, or what it does.
        ("statement_timeout", off()),
        ("lock_timeout", off()),
        ("transaction_timeout", off()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
    ]
}

/// Makes sure that the numbers of this connection are greater than all before.
///
/// A sequence alone repeats itself when the server was killed, or a standby takes over. Either ends
/// all connections. So all that take numbers share a lock; whoever finds nobody to share it with is
/// the first, sets the sequence to the clock, and nobody takes a number meanwhile.
async fn begin_to_number(listener: &mut PgListener) -> Result<()> {
    let is_safe = match set_sequence(listener).await {
        Err(error) if has_code(&error, code::UNDEFINED_TABLE) => {
            make_sequence(listener).await.map_err(sequence_error)?;
            set_sequence(listener).await
        }
        other => other,
    };
    match is_safe.map_err(sequence_error)? {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Misconfigured,
            "the sequence public.distlock_number may repeat itself; do `alter sequence \
             public.distlock_number increment 1 cache 1 no cycle`",
        )),
    }
}

/// Tells whether each number of the sequence is greater than the one before.
async fn set_sequence(listener: &mut PgListener) -> Result<bool, sqlx::Error> {
    let (looks, uses) = (key::LOOKS, key::USES);
    let statements = format!(
        "begin; select pg_advisory_xact_lock({CLASS}, {looks}); \
         select setval('public.distlock_number', greatest(last_value, \
           (extract(epoch from clock_timestamp()) * 1000000)::bigint)) \
         from public.distlock_number where pg_try_advisory_xact_lock({CLASS}, {uses}); \
         commit; select pg_advisory_lock_shared({CLASS}, {uses}); \
         select seqcache = 1 and not seqcycle and seqincrement = 1 from pg_sequence \
         where seqrelid = 'public.distlock_number'::regclass"
    );
    last_row(listener, &statements).await?.try_get(0)
}

async fn make_sequence(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let statements = format!(
        "rollback; begin; select pg_advisory_xact_lock({CLASS}, {}); \
         create sequence if not exists public.distlock_number; commit; select true",
        key::LOOKS
    );
    last_row(listener, &statements).await.map(drop)
}

/// Does these statements in one round trip, and tells the last row of the last.
async fn last_row(listener: &mut PgListener, statements: &str) -> Result<PgRow, sqlx::Error> {
    let rows = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_all(listener);
    rows.await?.pop().ok_or(sqlx::Error::RowNotFound)
}

fn sequence_error(error: sqlx::Error) -> Error {
    let of = error::of(error);
    if of.kind() != ErrorKind::Unauthorized {
        return of;
    }
    Error::new(
        ErrorKind::Unauthorized,
        "this role can neither make nor use the sequence that the fencing tokens come from; have \
         an administrator of the database do `create sequence if not exists \
         public.distlock_number; grant usage, select, update on sequence public.distlock_number \
         to <role>`",
    )
    .with_source(of)
}
