//! `distributed-lock-redis`: Redis, one server or several.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use distlock_testbed::{Redis, Server, Way};
use distributed_lock_core::traits::{
    DistributedLock, DistributedReaderWriterLock, LockHandle, LockProvider,
    ReaderWriterLockProvider,
};
use distributed_lock_redis::{RedisLockProvider, RedisLockProviderBuilder};
use tokio::time::{sleep, timeout};
use tokio::{join, try_join};

use crate::hole::{Peer, Seen, hole};
use crate::ours::{self, A_LITTLE, NAME, SOON, TTL, locks, millis};
use crate::panics::panics_during;

mod census;

use census::{Census, Role};

/// Where the crate keeps [`NAME`].
const KEY: &str = "distributed-lock:name";

pub(crate) const PEER: Peer = Peer {
    package: "distributed-lock-redis",
    version: "0.2.0",
    holes: &[
        hole!(
            readers_stand_beside_writers,
            Promises,
            "a reader-writer lock has many readers or one writer"
        ),
        hole!(
            a_renewal_renews_the_hold_of_another,
            Promises,
            "a holder whose key is gone is told at its next renewal, and releases nobody else"
        ),
        hole!(
            a_renewal_from_several_servers_panics,
            Promises,
            "a lock is extended in the background while its handle exists, on several servers too"
        ),
        hole!(
            acquire_does_not_wait,
            Promises,
            "`acquire(Some(5 s))` waits up to five seconds for a lock, `acquire(None)` indefinitely"
        ),
        hole!(
            a_dropped_acquire_leaves_its_key,
            Promises,
            "an acquire can be cancelled by dropping its future"
        ),
        hole!(
            a_dropped_handle_keeps_the_lock,
            Promises,
            "dropping the handle releases the lock"
        ),
    ],
};

async fn provider(server: &Server<Redis>) -> Result<RedisLockProvider> {
    provider_at(RedisLockProvider::builder().url(server.url())).await
}

async fn provider_at(builder: RedisLockProviderBuilder) -> Result<RedisLockProvider> {
    let provider = builder
        .expiry(TTL)
        .min_validity(TTL / 2)
        .extension_cadence(TTL / 6);
    Ok(provider.build().await?)
}

/// By chance, so that they try until it has happened, or for ten seconds.
async fn readers_stand_beside_writers() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let census = Census::begin(Duration::from_secs(10));
    let reads = async || {
        let provider = provider(&server).await?;
        let lock = provider.create_reader_writer_lock(NAME);
        while census.goes_on() {
            if let Some(handle) = lock.try_acquire_read().await? {
                census.visit(Role::Reader).await;
                handle.release().await?;
            }
        }
        anyhow::Ok(())
    };
    let writes = async || {
        let provider = provider(&server).await?;
        let lock = provider.create_reader_writer_lock(NAME);
        while census.goes_on() {
            if let Some(handle) = lock.try_acquire_write().await? {
                census.visit(Role::Writer).await;
                handle.release().await?;
            }
        }
        anyhow::Ok(())
    };
    try_join!(reads(), reads(), reads(), writes(), writes(), writes())?;
    let seen = Seen::of_peer(census.is_broken(), census.figures());
    Ok(seen.beside_ours(our_readers_and_writers(&server).await?))
}

async fn our_readers_and_writers(server: &Server<Redis>) -> Result<String> {
    let census = Census::begin(Duration::from_secs(1));
    let reads = async || {
        let lock = locks(server).await?.rw_lock(NAME);
        while census.goes_on() {
            let guard = lock.read().await?;
            census.visit(Role::Reader).await;
            guard.release().await?;
        }
        anyhow::Ok(())
    };
    let writes = async || {
        let lock = locks(server).await?.rw_lock(NAME);
        while census.goes_on() {
            let guard = lock.write().await?;
            census.visit(Role::Writer).await;
            guard.release().await?;
        }
        anyhow::Ok(())
    };
    try_join!(reads(), reads(), reads(), writes(), writes(), writes())?;
    ensure!(!census.is_broken(), "distlock: {}", census.figures());
    Ok(census.figures())
}

/// The id by which a key is known as one's own belongs to the lock object, not to the hold. With a
/// lock object for each hold, the first is told.
async fn a_renewal_renews_the_hold_of_another() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let (provider, other) = (provider(&server).await?, provider(&server).await?);
    let lock = provider.create_lock(NAME);
    let first = granted(&lock).await?;
    between_renewals().await;
    forget(&server).await?;
    let second = granted(&lock).await?;
    sleep(TTL).await;
    let is_told = *first.lost_token().borrow();
    let released = first.release().await;
    let third = other.create_lock(NAME).try_acquire().await?;
    let two_hold = third.is_some() && !*second.lost_token().borrow();
    drop((second, third));

    forget(&server).await?;
    let first = granted(&lock).await?;
    between_renewals().await;
    forget(&server).await?;
    let second = granted(&provider.create_lock(NAME)).await?;
    sleep(TTL / 2).await;
    let is_told_of_another_object = *first.lost_token().borrow();
    drop((first, second));
    let seen = Seen::of_peer(
        !is_told && two_hold,
        format!(
            "{TTL:?} and six renewals later, the first of two holders has not been told; its \
             release, which says {released:?}, frees the lock of the second, who is not told \
             either, and a third is granted (told if the second uses another lock object: \
             {is_told_of_another_object})"
        ),
    );

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    forget(&server).await?;
    Ok(seen.beside_ours(ours::is_told(guard, &other).await?))
}

/// It polls the tasks that ask the servers again after they have ended, as soon as one server
/// answers in another interval of 10 ms than the next.
async fn a_renewal_from_several_servers_panics() -> Result<Seen> {
    let servers = try_join!(
        Server::started(Redis::new()),
        Server::started(Redis::new()),
        Server::started(Redis::new())
    )?;
    let proxies = try_join!(servers.1.proxy(), servers.2.proxy())?;
    proxies.0.delay(Way::ToClient, Duration::from_millis(25));
    proxies.1.delay(Way::ToClient, Duration::from_millis(25));
    let far = RedisLockProvider::builder()
        .url(servers.0.url())
        .url(servers.1.url_through(&proxies.0))
        .url(servers.2.url_through(&proxies.1));
    let near =
        RedisLockProvider::builder().urls(&[servers.0.url(), servers.1.url(), servers.2.url()]);
    let (far, near) = (provider_at(far).await?, provider_at(near).await?);

    let (lock, other) = (far.create_lock(NAME), near.create_lock(NAME));
    let began = Instant::now();
    let work = async {
        let first = granted(&lock).await?;
        while began.elapsed() < 2 * TTL {
            if let Some(second) = other.try_acquire().await? {
                return anyhow::Ok((first, Some((began.elapsed(), second))));
            }
            sleep(TTL / 10).await;
        }
        Ok((first, None))
    };
    let (granted, panics) = panics_during(work).await;
    let (first, second) = granted?;
    let is_told = *first.lost_token().borrow();
    let after = second.as_ref().map(|(after, _)| *after);
    Ok(Seen::of_peer(
        second.is_some() && !is_told,
        format!(
            "panic: {panics:?}; with a TTL of {TTL:?}, a second is granted after {}, and the first \
             is not told",
            millis(after.unwrap_or_default())
        ),
    ))
}

async fn acquire_does_not_wait() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let (provider, other) = (provider(&server).await?, provider(&server).await?);
    let held = granted(&provider.create_lock(NAME)).await?;
    let lock = other.create_lock(NAME);
    let began = Instant::now();
    let limited = lock.acquire(Some(Duration::from_secs(5))).await;
    let after = began.elapsed();
    let unlimited = timeout(SOON, lock.acquire(None)).await;
    let do_not_wait = limited.is_err() && unlimited.as_ref().is_ok_and(Result::is_err);
    let message = limited.err().map(|error| error.to_string());
    held.release().await?;
    let seen = Seen::of_peer(
        do_not_wait && after < SOON,
        format!("after {}: {message:?}", millis(after)),
    );

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    let release = async {
        sleep(A_LITTLE).await;
        guard.release().await
    };
    let began = Instant::now();
    let (released, acquired) = join!(release, other.lock(NAME).acquire_within(SOON));
    released?;
    acquired?.release().await?;
    let after = millis(began.elapsed());
    Ok(seen.beside_ours(format!(
        "granted after {after}, as the holder releases after {A_LITTLE:?}"
    )))
}

async fn a_dropped_acquire_leaves_its_key() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let through = RedisLockProvider::builder().url(server.url_through(&proxy));
    let (through, other) = (provider_at(through).await?, provider(&server).await?);
    proxy.stall(Way::ToClient);
    let dropped = timeout(A_LITTLE, through.create_lock(NAME).acquire(None)).await;
    ensure!(dropped.is_err(), "it was answered");
    proxy.heal().await?;
    sleep(A_LITTLE).await;
    let is_refused = other.create_lock(NAME).try_acquire().await?.is_none();
    let seen = Seen::of_peer(is_refused, left(&server).await?);
    forget(&server).await?;
    Ok(seen.beside_ours(ours::after_a_dropped_acquire(&server).await?))
}

async fn a_dropped_handle_keeps_the_lock() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let (provider, other) = (provider(&server).await?, provider(&server).await?);
    drop(granted(&provider.create_lock(NAME)).await?);
    sleep(A_LITTLE).await;
    let is_refused = other.create_lock(NAME).try_acquire().await?.is_none();
    let seen = Seen::of_peer(is_refused, left(&server).await?);
    forget(&server).await?;
    Ok(seen.beside_ours(ours::after_a_dropped_guard(&server).await?))
}

/// As a server does that is restarted, or fails over.
async fn forget(server: &Server<Redis>) -> Result<()> {
    let _: String = server.command(&["FLUSHALL"]).await?;
    Ok(())
}

/// Half of the time between two of them after a grant, since the first is made at once.
async fn between_renewals() {
    sleep(TTL / 12).await;
}

async fn granted<L: DistributedLock>(lock: &L) -> Result<L::Handle> {
    lock.try_acquire().await?.context("the lock is not free")
}

async fn left(server: &Server<Redis>) -> Result<String> {
    let left: i64 = server.command(&["PTTL", KEY]).await?;
    Ok(format!(
        "{A_LITTLE:?} later the next is refused; the key is there for {left} ms more, of {TTL:?}"
    ))
}
