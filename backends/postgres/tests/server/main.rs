//! What is particular to PostgreSQL, on real servers that are broken on purpose.

mod clock;
mod faults;
mod network;
mod others;
mod processes;
mod refusals;
mod room;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Guard, LockState, Locks};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Postgres, Server};
use sqlx::Row;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The TTL of locks that are to survive what is done to them, or not.
const TTL: Duration = Duration::from_secs(4);
/// What does not wait for a TTL is done long before this.
const SOON: Duration = Duration::from_secs(20);

async fn server() -> Result<Server<Postgres>> {
    Server::started(Postgres::new()).await
}

/// A client of the server at this URL, as foreign to all others as one of another process.
async fn locks(url: &str) -> Result<Locks> {
    let backend = PostgresBackend::connect(url).await?;
    Ok(Locks::builder().ttl(TTL).build(backend)?)
}

fn acquired(locks: &Locks, name: &str) -> JoinHandle<distlock_core::Result<Guard>> {
    tokio::spawn(locks.lock(name).acquire())
}

/// Waits until so many stand in line at the server, which may be too busy to tell at times.
async fn waiting(locks: &Locks, name: &str, count: usize) -> Result<()> {
    let line = async {
        let line_is = |line: LockState| line.waiters.len() == count;
        while !locks.inspect(name).await.is_ok_and(line_is) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, line).await.context("a line of that length")
}

/// The number that the server answers to this.
async fn number(server: &Server<Postgres>, query: &str) -> Result<i64> {
    let rows = server.sql(query).await?;
    Ok(rows.first().context("no row")?.try_get(0)?)
}

/// Waits until the server answers so.
async fn becomes(server: &Server<Postgres>, query: &str, expected: i64) -> Result<()> {
    let change = async {
        while number(server, query).await? != expected {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let change = timeout(SOON, change).await;
    change.with_context(|| format!("{query}: never {expected}"))?
}

/// How many advisory locks there are of names, whoever has them or waits.
const NAMES: &str = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1";
/// How many advisory locks there are, of whatever kind.
const LOCKS: &str = "select count(*) from pg_locks where locktype = 'advisory'";
/// How many clients of this library the server serves.
const CLIENTS: &str =
    "select count(*) from pg_stat_activity where application_name like 'distlock%'";
