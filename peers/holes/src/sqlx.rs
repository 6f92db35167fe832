//! `PgAdvisoryLock` of `sqlx`.

use anyhow::{Result, ensure};
use distlock_testbed::{Postgres, Server};
use sqlx::PgPool;
use sqlx::postgres::{PgAdvisoryLock, PgPoolOptions};
use tokio::join;
use tokio::time::{sleep, timeout};

use crate::advisory::{in_line, kill_backends};
use crate::hole::{Peer, Seen, hole};
use crate::ours::{self, A_LITTLE, NAME, SOON, locks};

pub(crate) const PEER: Peer = Peer {
    package: "sqlx",
    version: "0.9.0",
    holes: &[
        hole!(
            a_killed_backend_is_not_told,
            IsSilent,
            "a guard tells that its session has ended, and its lock with it"
        ),
        hole!(
            cancelled_waiters_use_up_the_pool,
            IsSilent,
            "a waiter that was cancelled is out of the line, and its connection is free"
        ),
    ],
};

async fn pool(server: &Server<Postgres>) -> Result<PgPool> {
    let options = PgPoolOptions::new()
        .max_connections(3)
        .acquire_timeout(SOON);
    Ok(options.connect(&server.url()).await?)
}

/// The guard has nothing to tell it by, until its release, or another query by its connection,
/// fails.
async fn a_killed_backend_is_not_told() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let (pool, other) = (pool(&server).await?, pool(&server).await?);
    let lock = PgAdvisoryLock::new(NAME);
    let first = lock.acquire(pool.acquire().await?).await?;
    kill_backends(&server).await?;
    let second = timeout(SOON, lock.acquire(other.acquire().await?)).await;
    let released = first.release_now().await.map(drop);
    let released = released.map_err(|error| error.to_string());
    let seen = Seen::of_peer(
        second.is_ok_and(|second| second.is_ok()),
        format!(
            "a second is granted while the guard of the first lives; its `release_now` says \
             {released:?}"
        ),
    );

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    kill_backends(&server).await?;
    Ok(seen.beside_ours(ours::is_told(guard, &other).await?))
}

async fn cancelled_waiters_use_up_the_pool() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let pool = pool(&server).await?;
    let lock = PgAdvisoryLock::new(NAME);
    let held = lock.acquire(pool.acquire().await?).await?;
    let waits = async || {
        let connection = pool.acquire().await?;
        let dropped = timeout(A_LITTLE, lock.acquire(connection)).await;
        ensure!(dropped.is_err(), "two hold");
        anyhow::Ok(())
    };
    let (one, other) = join!(waits(), waits());
    one.and(other)?;
    let next = pool.acquire().await.map(drop);
    let left = in_line(&server).await?;
    let seen = Seen::of_peer(
        next.is_err(),
        format!(
            "{SOON:?} after both of its waiters were cancelled, {left} are in line, and the pool \
             of three says {next:?}"
        ),
    );
    held.release_now().await?;

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    for _ in 0..2 {
        let dropped = timeout(A_LITTLE, other.lock(NAME).acquire()).await;
        ensure!(dropped.is_err(), "two hold");
    }
    sleep(A_LITTLE).await;
    let left = in_line(&server).await?;
    guard.release().await?;
    ensure!(left == 0, "{left} are in line");
    Ok(seen.beside_ours(format!("{left} are in line {A_LITTLE:?} later")))
}
