//! Three members, of which some are killed or stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Guard, Loss};
use distlock_testbed::{Etcd, EtcdCluster};
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, TTL, acquired, keys, keys_become, locks, locks_for, url_from, waiting};

async fn cluster() -> Result<EtcdCluster> {
    EtcdCluster::started(Etcd::new).await
}

/// Waits until a heartbeat has been answered.
async fn renewed(guard: &Guard, ttl: Duration) -> Result<()> {
    let renewal = async {
        while guard.ensure(ttl * 9 / 10).await.is_err() {
            assert!(guard.is_held());
            sleep(Duration::from_millis(20)).await;
        }
    };
    Ok(timeout(SOON, renewal).await?)
}

#[tokio::test]
async fn holds_and_places_outlive_the_leader() -> Result<()> {
    let cluster = cluster().await?;
    let leader = cluster.leader().await?;
    let (one, other) = (
        locks_for(LONG, &url_from(&cluster, leader)).await?,
        locks_for(LONG, &url_from(&cluster, leader + 1)).await?,
    );
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    cluster.members[leader].kill().await?;
    cluster.other_leader(leader).await?;
    renewed(&guard, LONG).await?;
    let token = guard.token();
    guard.release().await?;
    let next = timeout(SOON, next).await???;
    assert!(next.token() > token);
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_turns_to_another_member() -> Result<()> {
    for how in ["kill", "pause"] {
        let cluster = cluster().await?;
        let leader = cluster.leader().await?;
        let first = leader + 1;
        let (one, other) = (
            locks_for(4 * TTL, &url_from(&cluster, leader)).await?,
            locks_for(4 * TTL, &url_from(&cluster, first)).await?,
        );
        let held = other.lock("b").acquire().await?;
        let guard = one.lock("a").acquire().await?;
        let next = acquired(&other, "a");
        waiting(&one, "a", 1).await?;
        let member = &cluster.members[first % 3];
        match how {
            "kill" => member.kill().await?,
            _ => member.pause().await?,
        }
        renewed(&held, 4 * TTL).await.context(how)?;
        guard.release().await?;
        timeout(SOON, next).await.context(how)???.release().await?;
        held.release().await?;
    }
    Ok(())
}

/// The member lives on, and the way to it is silent.
#[tokio::test]
async fn a_client_that_is_cut_off_from_its_member_turns_to_another() -> Result<()> {
    let cluster = cluster().await?;
    let follower = cluster.leader().await? + 1;
    let proxy = cluster.members[follower % 3].proxy().await?;
    let (_, others) = url_from(&cluster, follower).split_once('?').map_or_else(
        || (String::new(), String::new()),
        |(first, others)| (first.to_owned(), others.to_owned()),
    );
    let through = cluster.members[follower % 3].url_through(&proxy);
    let one = locks_for(4 * TTL, &format!("{through}?{others}")).await?;
    let other = locks_for(4 * TTL, &url_from(&cluster, follower)).await?;
    let held = one.lock("b").acquire().await?;
    let guard = other.lock("a").acquire().await?;
    let next = acquired(&one, "a");
    waiting(&other, "a", 1).await?;
    proxy.black_hole();
    renewed(&held, 4 * TTL).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    held.release().await?;
    Ok(())
}

/// Its lease is not kept alive again, although the new leader counts its TTL anew.
#[tokio::test]
async fn nothing_outlives_the_loss_of_the_quorum() -> Result<()> {
    let cluster = cluster().await?;
    let leader = cluster.leader().await?;
    let locks = locks(&url_from(&cluster, leader)).await?;
    let guard = locks.lock("a").acquire().await?;
    let beside = locks.lock("b").acquire().await?;
    for other in [leader + 1, leader + 2] {
        cluster.members[other % 3].kill().await?;
    }
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    assert!(!beside.is_held());
    sleep(TTL).await;
    let (one, two) = ((leader + 1) % 3, (leader + 2) % 3);
    let (one, two) = tokio::join!(cluster.members[one].start(), cluster.members[two].start());
    one?;
    two?;
    let mut client = cluster.members[leader].client().await?;
    // A hold beside them keeps the client busy.
    let other = timeout(SOON, locks.lock("c").acquire()).await??;
    for name in ["a", "b"] {
        keys_become(&mut client, name, 0).await?;
    }
    assert!(other.is_held());
    Ok(())
}

#[tokio::test]
async fn a_hold_outlives_that_another_member_leads() -> Result<()> {
    let cluster = cluster().await?;
    let leader = cluster.leader().await?;
    let locks = locks(&url_from(&cluster, leader)).await?;
    let guard = locks.lock("a").acquire().await?;
    for next in [leader + 1, leader + 2, leader] {
        cluster.move_leader(next % 3).await?;
        sleep(TTL / 2).await;
        assert!(guard.is_held());
    }
    guard.release().await?;
    Ok(())
}

/// A leader that was stopped past the TTL knows less than the others.
#[tokio::test]
async fn a_leader_that_was_stopped_ends_no_hold_unheard() -> Result<()> {
    // Longer than an election, of which three seconds were seen.
    let ttl = 2 * TTL;
    let cluster = cluster().await?;
    let leader = cluster.leader().await?;
    let one = locks_for(ttl, &url_from(&cluster, leader + 1)).await?;
    let other = locks_for(ttl, &url_from(&cluster, leader + 2)).await?;
    let guard = one.lock("a").acquire().await?;
    cluster.members[leader].pause().await?;
    cluster.other_leader(leader).await?;
    sleep(2 * ttl).await;
    assert!(guard.is_held());
    let token = guard.token();
    cluster.members[leader].resume().await?;
    // Servers before 3.4.31 may end its lease now, although it was renewed: then it is told.
    let next = acquired(&other, "a");
    sleep(Duration::from_secs(2)).await;
    if next.is_finished() {
        assert!(!guard.is_held(), "two hold");
    } else {
        guard.release().await?;
    }
    let next = timeout(SOON, next).await???;
    assert!(next.token() > token);
    next.release().await?;
    let mut client = cluster.members[(leader + 1) % 3].client().await?;
    assert!(keys(&mut client, "a").await?.is_empty());
    Ok(())
}

/// It answers heartbeats until it learns that it leads no more, and by then another may count the
/// TTL from its election.
#[tokio::test]
async fn a_leader_that_was_cut_off_keeps_nobody_a_holder() -> Result<()> {
    let is_first = AtomicBool::new(true);
    let recipe = || match is_first.swap(false, Ordering::Relaxed) {
        // It finds out long after the others have elected another.
        true => Etcd::new().flag("--election-timeout=5000"),
        false => Etcd::new(),
    };
    let cluster = EtcdCluster::started(recipe).await?;
    let ttl = Duration::from_secs(8);
    let one = locks_for(ttl, &cluster.members[0].url()).await?;
    let other = locks_for(ttl, &url_from(&cluster, 1)).await?;
    cluster.move_leader(0).await?;
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    cluster.isolate(0);
    // Heartbeats all the time, as long as there is an answer.
    let renewing = async {
        loop {
            let _ = guard.ensure(ttl * 9 / 10).await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let next = tokio::select! {
        () = renewing => None,
        next = timeout(3 * SOON, next) => Some(next???),
    };
    assert!(!guard.is_held(), "two hold");
    assert!(next.context("nobody")?.token() > guard.token());
    Ok(())
}

/// Who is on the side of a follower that is cut off turns to the others.
#[tokio::test]
async fn a_hold_outlives_that_the_member_of_its_client_is_cut_off() -> Result<()> {
    let cluster = cluster().await?;
    let follower = cluster.leader().await? + 1;
    let locks = locks_for(4 * TTL, &url_from(&cluster, follower)).await?;
    let guard = locks.lock("a").acquire().await?;
    cluster.isolate(follower % 3);
    renewed(&guard, 4 * TTL).await?;
    sleep(4 * TTL).await;
    assert!(guard.is_held());
    cluster.heal().await?;
    guard.release().await?;
    Ok(())
}
