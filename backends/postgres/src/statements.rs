//! What is asked of a server over a connection, a function each.

use std::time::Duration;

use distlock_core::Moment;
use sqlx::postgres::{PgListener, PgRow};
use sqlx::{AssertSqlSafe, Error, Executor, Postgres, Row};

use crate::key::Key;
use crate::table::Shown;

/// The class of the advisory locks that are not those of names. They have two keys where the locks
/// of names have one, so that the two are never the same.
pub(crate) const CLASS: i32 = 0x6469_7374;
/// In `pg_stat_activity`, the state of a connection on which somebody waits. Its TTL follows, in
/// milliseconds.
const WAITING: &str = "distlock waiting";

/// What is to be done with a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Take it if nobody has it, nor waits for it.
    Lock,
    /// Tell a number if nobody waits for it: this session has it already.
    Join,
    Unlock,
}

/// What an act comes to, of the key `op.key`.
macro_rules! sql {
    (lock) => {
        "case when pg_try_advisory_lock(op.key) then nextval('public.distlock_number') end"
    };
    (lock_shared) => {
        "case when pg_try_advisory_lock_shared(op.key) then nextval('public.distlock_number') end"
    };
    (join) => {
        "case when not exists (select from pg_locks as l where not l.granted \
           and l.locktype = 'advisory' and l.objsubid = 1 \
           and l.database = (select oid from pg_database where datname = current_database()) \
           and l.classid::bigint << 32 | l.objid::bigint = op.key) \
           then nextval('public.distlock_number') end"
    };
    (unlock) => {
        "case when pg_advisory_unlock(op.key) then 0::bigint end"
    };
    (unlock_shared) => {
        "case when pg_advisory_unlock_shared(op.key) then 0::bigint end"
    };
    (one $act:ident) => {
        concat!(
            "select 1::bigint, ",
            sql!($act),
            ", pg_backend_pid() from (select $1::bigint as key) as op"
        )
    };
}

/// Does these, each on another key, and tells the number of each that was granted, or whether what
/// was to be unlocked was held, and the process that has done it.
pub(crate) async fn operate(
    connection: &mut PgListener,
    acts: &[(Act, Shown)],
) -> Result<(Vec<Option<u64>>, i32), Error> {
    let rows = match acts {
        // What comes by itself costs the server half of what it costs as a set of one.
        [(act, shown)] => {
            let query = match (act, shown.shared) {
                (Act::Lock, false) => sql!(one lock),
                (Act::Lock, true) => sql!(one lock_shared),
                (Act::Join, _) => sql!(one join),
                (Act::Unlock, false) => sql!(one unlock),
                (Act::Unlock, true) => sql!(one unlock_shared),
            };
            let query = sqlx::query(query).bind(shown.key.0);
            query.fetch_all(&mut *connection).await?
        }
        _ => operate_all(connection, acts).await?,
    };
    let mut found = vec![None; acts.len()];
    let mut process = 0;
    for row in &rows {
        let place: i64 = row.try_get(0)?;
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        if let Some(found) = found.get_mut(place) {
            *found = number(row, 1)?;
        }
        process = row.try_get(2)?;
    }
    Ok((found, process))
}

async fn operate_all(
    connection: &mut PgListener,
    acts: &[(Act, Shown)],
) -> Result<Vec<PgRow>, Error> {
    let (keys, acts): (Vec<i64>, Vec<i32>) = acts
        .iter()
        .map(|(act, shown)| {
            let act = match (act, shown.shared) {
                (Act::Lock, false) => 0,
                (Act::Lock, true) => 1,
                (Act::Join, _) => 2,
                (Act::Unlock, false) => 3,
                (Act::Unlock, true) => 4,
            };
            (shown.key.0, act)
        })
        .unzip();
    sqlx::query(concat!(
        "select op.place, case op.act when 0 then ",
        sql!(lock),
        " when 1 then ",
        sql!(lock_shared),
        " when 2 then ",
        sql!(join),
        " when 3 then ",
        sql!(unlock),
        " when 4 then ",
        sql!(unlock_shared),
        " end, pg_backend_pid() \
         from unnest($1::bigint[], $2::int[]) with ordinality as op(key, act, place)",
    ))
    .bind(keys)
    .bind(acts)
    .fetch_all(&mut *connection)
    .await
}

/// The locks of names that the server shows under this connection, and its process.
pub(crate) async fn own_locks(connection: &mut PgListener) -> Result<(Vec<Shown>, i32), Error> {
    let rows = sqlx::query(
        "select classid::bigint << 32 | objid::bigint, mode = 'ShareLock', p.pid \
         from (select pg_backend_pid() as pid) as p left join pg_locks as l \
         on l.pid = p.pid and locktype = 'advisory' and objsubid = 1 and granted",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut process = 0;
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        process = row.try_get(2)?;
        if let Some(key) = row.try_get::<Option<i64>, _>(0)? {
            let (key, shared) = (Key(key), row.try_get(1)?);
            shown.push(Shown { key, shared });
        }
    }
    Ok((shown, process))
}

/// Waits for this lock, while the connection shows as one that waits. If that takes no longer than
/// `brief`, the connection then shows as one that holds, and the number is told; else it is for
/// [`waited`] to see to that.
pub(crate) async fn wait(
    connection: &mut PgListener,
    ttl: Duration,
    brief: Duration,
    Shown { key, shared }: Shown,
) -> Result<Option<u64>, Error> {
    macro_rules! waiting_by {
        ($lock:literal) => {
            concat!(
                "select case when clock_timestamp() - statement_timestamp() < $3::interval \
                 and set_config('application_name', $4, false) is not null \
                 then nextval('public.distlock_number') end \
                 from (select set_config('application_name', $1, false), ",
                $lock,
                "($2) offset 0) as granted"
            )
        };
    }
    let query = if shared {
        waiting_by!("pg_advisory_lock_shared")
    } else {
        waiting_by!("pg_advisory_lock")
    };
    let row = sqlx::query(query)
        .bind(format!("{WAITING} {}", ttl.as_millis()))
        .bind(key.0)
        .bind(format!("{} ms", brief.as_millis()))
        .bind(HOLDING)
        .fetch_one(&mut *connection)
        .await?;
    number(&row, 0)
}

/// The number of the lock that this connection has waited for, and from when its TTL counts. It
/// shows no more as one that waits.
pub(crate) async fn waited(connection: &mut PgListener) -> Result<(u64, Moment), Error> {
    let as_of = Moment::now();
    let row = sqlx::query(
        "select nextval('public.distlock_number'), set_config('application_name', $1, false)",
    )
    .bind(HOLDING)
    .fetch_one(&mut *connection)
    .await?;
    let number = number(&row, 0)?.ok_or(Error::RowNotFound)?;
    Ok((number, as_of))
}

/// In `pg_stat_activity`, the state of a connection on which nobody waits.
pub(crate) const HOLDING: &str = "distlock";

/// Holds a lock for this process of a connection on which somebody waits, as a sign that its client
/// lives; or gives it back.
pub(crate) async fn vouch(
    connection: &mut PgListener,
    process: i32,
    alive: bool,
) -> Result<(), Error> {
    let query = if alive {
        "select pg_advisory_lock_shared($1, $2)"
    } else {
        "select pg_advisory_unlock_shared($1, $2)"
    };
    sqlx::query(query)
        .bind(CLASS)
        .bind(process)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Who stands before one that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ahead {
    /// The server has not come to it yet.
    NotKnown,
    /// None of those that may have to be ended.
    Others,
    /// Some on which others wait, or waited just now. Unless it is heard of, the client of one of
    /// them has died this long from now.
    Waiters(Duration),
}

/// Ends those connections before this one in a line whose clients have died, and tells of the rest.
///
/// A client lives for its TTL from when the server last heard of it over the connection that has
/// the sign.
pub(crate) async fn clear(connection: &mut PgListener, process: i32) -> Result<Ahead, Error> {
    let row = sqlx::query(
        "with blocking as materialized (select pg_blocking_pids($1) as pids), \
         ahead as materialized (select a.pid, \
           substring(a.application_name from '^distlock waiting ([0-9]+)$')::bigint as ttl, \
           a.usename = session_user as ours, sign.pid is null as dead, \
           case when sign.state = 'idle' then extract(epoch from clock_timestamp() - \
             sign.state_change) * 1000 else 0 end::bigint as silent \
           from pg_stat_activity as a \
           left join pg_locks as l on l.locktype = 'advisory' and l.objsubid = 2 and l.granted \
             and l.classid = $2::oid and l.objid = a.pid::oid and l.database = a.datid \
           left join pg_stat_activity as sign on sign.pid = l.pid \
           where a.pid = any((select pids from blocking)::int[]) \
           and a.application_name ~ '^distlock waiting [0-9]+$') \
         select (select cardinality(pids) from blocking) > 0, \
           min(ttl - silent) filter (where not dead), \
           count(case when dead and ours then pg_terminate_backend(pid) end) from ahead",
    )
    .bind(process)
    .bind(CLASS)
    .fetch_one(&mut *connection)
    .await?;
    let (waits, left): (bool, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match left {
        Some(left) => Ahead::Waiters(Duration::from_millis(u64::try_from(left).unwrap_or(0))),
        None if waits => Ahead::Others,
        None => Ahead::NotKnown,
    })
}

/// Ends those that have this lock, or wait for it, and whose clients have died while they waited.
/// Whether there were any.
pub(crate) async fn bury(connection: &mut PgListener, key: Key) -> Result<bool, Error> {
    /// How long the server takes to end a connection, in milliseconds.
    const PATIENCE: i64 = 100;
    let row = sqlx::query(
        "select count(case when a.usename = session_user \
           then pg_terminate_backend(a.pid, $3) end) > 0 \
         from pg_locks as l join pg_stat_activity as a on a.pid = l.pid \
         where l.locktype = 'advisory' and l.objsubid = 1 and l.database = a.datid \
         and l.database = (select oid from pg_database where datname = current_database()) \
         and l.classid::bigint << 32 | l.objid::bigint = $1 \
         and a.application_name ~ '^distlock waiting [0-9]+$' and not exists \
           (select from pg_locks as v where v.locktype = 'advisory' and v.objsubid = 2 \
            and v.granted and v.database = l.database and v.classid = $2::oid \
            and v.objid = l.pid::oid)",
    )
    .bind(key.0)
    .bind(CLASS)
    .bind(PATIENCE)
    .fetch_one(&mut *connection)
    .await?;
    row.try_get(0)
}

/// Does these statements in one round trip, and tells the last row of the last.
pub(crate) async fn last_row<'c>(
    connection: impl Executor<'c, Database = Postgres>,
    statements: &str,
) -> Result<PgRow, Error> {
    let rows = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_all(connection);
    rows.await?.pop().ok_or(Error::RowNotFound)
}

fn number(row: &PgRow, column: usize) -> Result<Option<u64>, Error> {
    let number: Option<i64> = row.try_get(column)?;
    Ok(number.map(i64::unsigned_abs))
}
