//! `distributed-lock-postgres`: advisory locks of PostgreSQL, by sqlx 0.8.

use std::panic;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use distlock::ErrorKind;
use distlock_testbed::{Postgres, Server};
use distributed_lock_core::traits::{DistributedLock, LockHandle, LockProvider};
use distributed_lock_postgres::PostgresLockProvider;
use tokio::time::{sleep, timeout};

use crate::advisory::{idle_holders, kill_backends};
use crate::hole::{Peer, Seen, hole};
use crate::ours::{self, A_LITTLE, NAME, SOON, locks, millis};
use crate::panics::panics_during;

pub(crate) const PEER: Peer = Peer {
    package: "distributed-lock-postgres",
    version: "0.2.0",
    holes: &[
        hole!(
            a_killed_backend_is_not_told,
            IsSilent,
            "`lost_token` yields `true` when the connection has died, unless a store is said not to"
        ),
        hole!(
            a_dead_waiter_is_granted_the_lock,
            Promises,
            "an acquire can be cancelled by dropping its future"
        ),
        hole!(
            a_dropped_handle_keeps_the_lock,
            Promises,
            "dropping the handle releases the lock"
        ),
        hole!(
            a_timeout_of_zero_waits,
            Promises,
            "`acquire(Some(timeout))` waits up to the timeout"
        ),
        hole!(
            an_empty_name_panics,
            IsSilent,
            "a name that cannot be locked is an error"
        ),
    ],
};

/// With a pool of its own.
async fn provider(server: &Server<Postgres>) -> Result<PostgresLockProvider> {
    Ok(PostgresLockProvider::new(server.url()).await?)
}

async fn a_killed_backend_is_not_told() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let (provider, other) = (provider(&server).await?, provider(&server).await?);
    let first = provider.create_lock(NAME).acquire(Some(SOON)).await?;
    let healthy = timeout(A_LITTLE, first.lost_token().clone().changed()).await?;
    kill_backends(&server).await?;
    let second = other.create_lock(NAME).acquire(Some(SOON)).await?;
    sleep(A_LITTLE).await;
    let is_told = *first.lost_token().borrow();
    let released = first.release().await;
    let seen = Seen::of_peer(
        !is_told && released.is_ok(),
        format!(
            "a second is granted; {A_LITTLE:?} later `lost_token` of the first is {is_told}, and \
             its release says {released:?}; on a healthy lock, a change of `lost_token` is waited \
             for with {healthy:?}"
        ),
    );
    second.release().await?;

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    kill_backends(&server).await?;
    Ok(seen.beside_ours(ours::is_told(guard, &other).await?))
}

/// The query waits on, in the server; its session is back in the pool as it is granted.
async fn a_dead_waiter_is_granted_the_lock() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let (provider, waiter) = (provider(&server).await?, provider(&server).await?);
    let held = provider.create_lock(NAME).acquire(Some(SOON)).await?;
    let dropped = timeout(A_LITTLE, waiter.create_lock(NAME).acquire(None)).await;
    ensure!(dropped.is_err(), "two hold");
    held.release().await?;
    sleep(A_LITTLE).await;
    let next = provider.create_lock(NAME).acquire(Some(SOON)).await;
    let idle = idle_holders(&server).await?;
    let seen = Seen::of_peer(
        next.is_err(),
        format!(
            "{SOON:?} after the release the next is still refused; idle sessions that hold: {idle}"
        ),
    );
    kill_backends(&server).await?;
    Ok(seen.beside_ours(ours::after_a_dropped_waiter(&server).await?))
}

async fn a_dropped_handle_keeps_the_lock() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let (provider, other) = (provider(&server).await?, provider(&server).await?);
    drop(provider.create_lock(NAME).acquire(Some(SOON)).await?);
    let next = other.create_lock(NAME).acquire(Some(SOON)).await;
    let idle = idle_holders(&server).await?;
    let seen = Seen::of_peer(
        next.is_err(),
        format!("{SOON:?} later the next is still refused; idle sessions that hold: {idle}"),
    );
    kill_backends(&server).await?;
    Ok(seen.beside_ours(ours::after_a_dropped_guard(&server).await?))
}

/// The server takes a limit of 0 ms for none.
async fn a_timeout_of_zero_waits() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let (provider, other) = (provider(&server).await?, provider(&server).await?);
    let held = provider.create_lock(NAME).acquire(Some(SOON)).await?;
    let lock = other.create_lock(NAME);
    let zero = timeout(SOON, lock.acquire(Some(Duration::ZERO))).await;
    let seen = Seen::of_peer(zero.is_err(), format!("it waits still after {SOON:?}"));
    drop(held);
    kill_backends(&server).await?;

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    let began = Instant::now();
    let refused = other.lock(NAME).acquire_within(Duration::ZERO).await;
    let after = millis(began.elapsed());
    let kind = refused.err().context("two hold")?.kind();
    ensure!(kind == ErrorKind::TimedOut, "{kind:?}");
    guard.release().await?;
    Ok(seen.beside_ours(format!("refused after {after}")))
}

async fn an_empty_name_panics() -> Result<Seen> {
    let server = Server::started(Postgres::new()).await?;
    let provider = provider(&server).await?;
    let create = || drop(provider.create_lock(""));
    let create = async { panic::catch_unwind(panic::AssertUnwindSafe(create)) };
    let (created, panics) = panics_during(create).await;
    let seen = Seen::of_peer(created.is_err(), format!("panic: {panics:?}"));

    let refused = locks(&server).await?.lock("").acquire().await;
    let kind = refused.err().context("it is granted")?.kind();
    Ok(seen.beside_ours(format!("{kind:?}")))
}
