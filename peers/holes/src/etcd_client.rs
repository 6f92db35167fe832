//! `etcd-client`: the lock RPC of etcd. What its server does is said to be the server's.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use distlock_testbed::{Etcd, Server, Way};
use etcd_client::{Client, LockOptions};
use tokio::time::timeout;

use crate::hole::{Peer, Seen, hole};
use crate::ours::{self, A_LITTLE, NAME, SOON, locks, millis};

pub(crate) const PEER: Peer = Peer {
    package: "etcd-client",
    version: "0.21.1",
    holes: &[
        hole!(
            a_lease_is_granted_a_name_twice,
            Warns,
            "two tasks of a program, whose keys are under one lease, exclude each other"
        ),
        hole!(names_nest, IsSilent, "`k` and `k/a` are names of two locks"),
        hole!(
            a_dropped_lock_is_held_for_its_lease,
            IsSilent,
            "a call that is dropped before it has answered holds nothing"
        ),
        hole!(
            the_end_of_a_lease_is_not_told,
            IsSilent,
            "a holder whose lease has ended is told by its release at the latest"
        ),
        hole!(
            the_lease_of_a_lock_without_options_runs_out,
            IsSilent,
            "a lock without options, `lock(name, None)`, is held until it is unlocked"
        ),
    ],
};

/// A lease that nobody has to renew meanwhile.
async fn lease(client: &mut Client) -> Result<(i64, Option<LockOptions>)> {
    let lease = client.lease_grant(600, None).await?.id();
    Ok((lease, Some(LockOptions::new().with_lease(lease))))
}

/// The server's, too: "locking twice with the same lease is a no-op".
async fn a_lease_is_granted_a_name_twice() -> Result<Seen> {
    let server = Server::started(Etcd::new()).await?;
    let mut client = server.client().await?;
    let (_, under) = lease(&mut client).await?;
    client.lock(NAME, under.clone()).await?;
    let again = timeout(SOON, client.lock(NAME, under)).await;
    let seen = Seen::of_peer(again.is_ok(), "both hold");

    let locks = locks(&server).await?;
    let guard = locks.lock(NAME).acquire().await?;
    let second = locks.lock(NAME).try_acquire().await?;
    ensure!(second.is_none(), "two hold");
    guard.release().await?;
    Ok(seen.beside_ours("the second is refused"))
}

/// The server's: what waits looks for older keys by the prefix `k/`.
async fn names_nest() -> Result<Seen> {
    let server = Server::started(Etcd::new()).await?;
    let mut client = server.client().await?;
    let (_, one) = lease(&mut client).await?;
    let (_, other) = lease(&mut client).await?;
    client.lock("k/a", one).await?;
    let outer = timeout(SOON, client.lock("k", other)).await;
    let figures = format!("while one holds `k/a`, another waits for `k`, still after {SOON:?}");
    let seen = Seen::of_peer(outer.is_err(), figures);

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let inner = one.lock("k/a").acquire().await?;
    let outer = other.lock("k").acquire_within(SOON).await?;
    ensure!(inner.is_held() && outer.is_held(), "they are one");
    Ok(seen.beside_ours("both are granted"))
}

async fn a_dropped_lock_is_held_for_its_lease() -> Result<Seen> {
    let server = Server::started(Etcd::new()).await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let mut through = Client::connect([proxy.address().to_string()], None).await?;
    let (_, one) = lease(&mut through).await?;
    let (_, other) = lease(&mut client).await?;
    proxy.stall(Way::ToClient);
    let dropped = timeout(A_LITTLE, through.lock(NAME, one)).await;
    ensure!(dropped.is_err(), "it was answered");
    proxy.heal().await?;
    let next = timeout(SOON, client.lock(NAME, other)).await;
    let figures = format!("{SOON:?} later the next waits still, for the end of the other's lease");
    let seen = Seen::of_peer(next.is_err(), figures);
    Ok(seen.beside_ours(ours::after_a_dropped_acquire(&server).await?))
}

async fn the_end_of_a_lease_is_not_told() -> Result<Seen> {
    let server = Server::started(Etcd::new()).await?;
    let mut client = server.client().await?;
    let (ends, one) = lease(&mut client).await?;
    let (_, other) = lease(&mut client).await?;
    let first = client.lock(NAME, one).await?;
    // As if it had not been renewed.
    client.lease_revoke(ends).await?;
    let second = timeout(SOON, client.lock(NAME, other)).await;
    let unlocked = client.unlock(first.key()).await.map(drop);
    let seen = Seen::of_peer(
        second.is_ok() && unlocked.is_ok(),
        format!("a second is granted, and `unlock` of the first says {unlocked:?}"),
    );

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let guard = one.lock(NAME).acquire().await?;
    let leases = client.leases().await?;
    for lease in leases.leases() {
        client.lease_revoke(lease.id()).await?;
    }
    Ok(seen.beside_ours(ours::is_told(guard, &other).await?))
}

/// The server grants a lease of a minute, which nobody renews. Only the minute can show that.
async fn the_lease_of_a_lock_without_options_runs_out() -> Result<Seen> {
    const MORE_THAN_A_MINUTE: Duration = Duration::from_secs(75);
    let server = Server::started(Etcd::new()).await?;
    let (mut client, mut other) = (server.client().await?, server.client().await?);
    let first = client.lock(NAME, None).await?;
    let began = Instant::now();
    let second = timeout(MORE_THAN_A_MINUTE, other.lock(NAME, None)).await;
    let after = began.elapsed();
    let unlocked = client.unlock(first.key()).await.map(drop);
    Ok(Seen::of_peer(
        second.is_ok_and(|second| second.is_ok()),
        format!(
            "a second is granted after {}, and `unlock` of the first says {unlocked:?}",
            millis(after)
        ),
    ))
}
