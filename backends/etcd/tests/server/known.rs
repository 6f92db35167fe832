//! What servers of some versions are known to do wrong: shown by the bare client, so that each
//! exception stays true of the versions that it names, and that locks bear it.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::Guard;
use distlock_testbed::{Etcd, EtcdCluster, Server};
use etcd_client::{Client, LockOptions};
use tokio::join;
use tokio::time::{Instant, sleep, timeout};

use crate::{SOON, TTL, acquired, keys, keys_become, locks, server, waiting};

/// As `[3, 4, 23]`.
pub(crate) async fn version(client: &mut Client) -> Result<[u32; 3]> {
    let status = client.status().await?;
    let numbers = status.version().split(['.', '-', '+']).map(str::parse);
    let numbers: Vec<_> = numbers.take(3).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("it has three numbers")
}

pub(crate) fn obeys_old_leaders(version: [u32; 3]) -> bool {
    version < [3, 4, 31] || ([3, 5, 0]..[3, 5, 13]).contains(&version)
}

fn under(lease: i64) -> Option<LockOptions> {
    Some(LockOptions::new().with_lease(lease))
}

/// <https://github.com/etcd-io/etcd/issues/11456>
#[tokio::test]
async fn the_dead_are_granted_the_lock_of_the_server_and_not_ours() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let is_flawed = version(&mut client).await? < [3, 5, 0];
    assert_eq!(is_server_s_granted_to_the_dead(&client).await?, is_flawed);

    let proxy = server.proxy().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let late = acquired(&cut_off, "a");
    waiting(&one, "a", 1).await?;
    proxy.black_hole();
    keys_become(&mut client, "a", 1).await?;
    guard.release().await?;
    let guard = timeout(SOON, other.lock("a").acquire()).await??;
    proxy.heal().await?;
    // It begins anew, as the last, unless it has given up.
    sleep(TTL / 2).await;
    assert!(guard.is_held());
    if late.is_finished() {
        assert!(late.await?.is_err(), "two hold");
    } else {
        let token = guard.token();
        guard.release().await?;
        assert!(timeout(SOON, late).await???.token() > token);
    }
    Ok(())
}

async fn is_server_s_granted_to_the_dead(client: &Client) -> Result<bool> {
    let mut client = client.clone();
    let lasting = client.lease_grant(600, None).await?.id();
    let held = client.lock("server-s", under(lasting)).await?;
    let short = client.lease_grant(2, None).await?.id();
    let mut waiter = client.clone();
    let waiting = tokio::spawn(async move { waiter.lock("server-s", under(short)).await });
    has_ended(&mut client, short).await?;
    client.unlock(held.key()).await?;
    match timeout(SOON, waiting).await?? {
        Ok(granted) => Ok(client.get(granted.key(), None).await?.kvs().is_empty()),
        Err(_) => Ok(false),
    }
}

async fn lives(client: &mut Client, lease: i64) -> Result<bool> {
    let leases = client.leases().await?;
    Ok(leases.leases().iter().any(|status| status.id() == lease))
}

async fn has_ended(client: &mut Client, lease: i64) -> Result<()> {
    let end = async {
        while lives(client, lease).await? {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(SOON, end).await.context("the lease lives on")?
}

/// The server's lock knows a name and what begins with it and a slash as one, and a lease as one
/// holder. Ours does neither, and counts with the TTL that the server gives.
#[tokio::test]
async fn names_claims_and_ttls_are_told_apart() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let lease = client.lease_grant(600, None).await?.id();
    client.lock("a/b", under(lease)).await?;
    client
        .lock("a/b", under(lease))
        .await
        .context("once more")?;
    let other = client.lease_grant(600, None).await?.id();
    let outer = timeout(TTL / 4, client.lock("a", under(other))).await;
    assert!(outer.is_err(), "it is free");
    assert_eq!(client.lease_grant(1, None).await?.ttl(), 2);

    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a/b").acquire().await?;
    assert!(locks.lock("a/b").try_acquire().await?.is_none());
    assert!(locks.lock("a").try_acquire().await?.is_some());
    guard.release().await?;
    let brief = locks.lock("c").ttl(Duration::from_secs(1)).acquire().await;
    assert!(brief.is_err(), "its TTL is not the server's");
    Ok(())
}

/// <https://github.com/etcd-io/etcd/issues/12291>: 3.4 lets the dead live until its wall clock, if
/// that is set back, has come to where it was. Ahead, it ends nothing.
#[tokio::test]
async fn a_clock_that_is_set_ends_no_hold_and_may_keep_the_dead() -> Result<()> {
    const DAY: i64 = 24 * 60 * 60;
    let server = Server::started(Etcd::new().own_clock()).await?;
    let mut client = server.client().await?;
    if version(&mut client).await? >= [3, 5, 0] {
        // Nor does any that is newer, and whose program takes a clock of its own.
        return Ok(());
    }
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    for ahead in [DAY, -DAY, 0] {
        server.set_clock_ahead(ahead)?;
        sleep(2 * TTL).await;
        assert!(guard.is_held(), "{ahead} s ahead");
    }
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;

    let dead = client.lease_grant(2, None).await?.id();
    server.set_clock_ahead(-DAY)?;
    sleep(2 * TTL).await;
    assert!(lives(&mut client, dead).await?, "it has ended in time");
    server.set_clock_ahead(0)?;
    has_ended(&mut client, dead).await
}

/// <https://github.com/etcd-io/etcd/issues/15247>: a leader that was stopped ends leases, when it
/// goes on, that had been renewed in time at the one after it. Whether it does so before it hears of
/// that one is chance, so that a version which is known to do it may not show it here.
#[tokio::test]
async fn a_lease_that_a_stopped_leader_has_ended_is_told() -> Result<()> {
    const ROUNDS: u32 = 6;
    let quick = || {
        Etcd::new()
            .flag("--heartbeat-interval=50")
            .flag("--election-timeout=500")
    };
    let cluster = EtcdCluster::started(quick).await?;
    let version = version(&mut cluster.members[0].client().await?).await?;
    let is_flawed = obeys_old_leaders(version);
    let mut seen = Vec::new();
    let mut faults = Vec::new();
    for _ in 0..ROUNDS {
        match ended_by_a_stopped_leader(&cluster).await {
            Ok(ended) => seen.push(ended),
            // Members that are this quick to elect another may do so whenever they get no time to
            // run. Such a round says nothing.
            Err(fault) => faults.push(fault),
        }
        if seen.iter().any(|ended| *ended > 0) {
            break;
        }
    }
    assert!(
        !seen.is_empty(),
        "never without another election: {faults:?}"
    );
    let ended: usize = seen.iter().sum();
    assert!(ended == 0 || is_flawed, "{ended} leases of {version:?}");
    Ok(())
}

/// How many leases that were renewed in time have ended. Of all holds that have ended, their
/// holders are told.
async fn ended_by_a_stopped_leader(cluster: &EtcdCluster) -> Result<usize> {
    const TTL: Duration = Duration::from_secs(4);
    let leader = cluster.leader().await?;
    let beside = &cluster.members[(leader + 1) % 3];
    let mut client = beside.client().await?;
    let mut leases = Vec::new();
    let mut guards = Vec::new();
    for number in 0..20 {
        let lease = client
            .lease_grant(TTL.as_secs().cast_signed(), None)
            .await?;
        leases.push(lease.id());
        let locks = locks(&beside.url()).await?;
        guards.push(locks.lock(format!("{number}")).acquire().await?);
    }
    let pause = renewed_beside_it(&cluster.members[leader], &mut client, &leases).await?;
    let mut ended = 0;
    for lease in leases {
        let lives = lives(&mut client, lease).await?;
        ended += usize::from(!lives && pause < TTL);
        // Ended or not.
        let _ = client.lease_revoke(lease).await;
    }
    for guard in guards {
        is_told_or_there(&mut client, guard).await?;
    }
    Ok(ended)
}

/// Stops the leader for longer than the TTL of these leases, and renews them at its successor, by
/// this client. What was the longest time between two renewals of one?
async fn renewed_beside_it(
    leader: &Server<Etcd>,
    client: &mut Client,
    leases: &[i64],
) -> Result<Duration> {
    const STOPPED: Duration = Duration::from_secs(6);
    let mut renewals = Vec::new();
    for lease in leases {
        renewals.push(client.lease_keep_alive(*lease).await?);
    }
    let status = leader.client().await?.status().await?;
    let id = status.header().context("no header")?.member_id();
    let stopped = Instant::now();
    leader.pause().await?;
    let resuming = async {
        sleep(STOPPED).await;
        leader.resume().await
    };
    let renewing = async {
        let mut renewed = Instant::now();
        let mut longest = Duration::ZERO;
        while stopped.elapsed() < STOPPED && [0, id].contains(&client.status().await?.leader()) {
            sleep(Duration::from_millis(20)).await;
        }
        while stopped.elapsed() < STOPPED + Duration::from_secs(1) {
            for (keeper, answers) in &mut renewals {
                keeper.keep_alive().await?;
                // What it says, or that it says nothing, is seen by the lease.
                let _ = timeout(STOPPED, answers.message()).await;
            }
            longest = longest.max(renewed.elapsed());
            renewed = Instant::now();
            sleep(Duration::from_millis(200)).await;
        }
        Ok(longest)
    };
    let (resumed, longest) = join!(resuming, renewing);
    resumed?;
    longest
}

async fn is_told_or_there(client: &mut Client, guard: Guard) -> Result<()> {
    if keys(client, guard.name().as_str()).await?.is_empty() {
        timeout(SOON, guard.lost()).await.expect("it is told");
        assert!(!guard.is_held());
    } else if guard.is_held() {
        guard.release().await?;
    }
    Ok(())
}
