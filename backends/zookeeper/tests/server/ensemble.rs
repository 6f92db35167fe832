//! Three servers, of which some fail.

use std::time::Duration;

use anyhow::{Result, bail};
use distlock_core::{ErrorKind, Guard, Locks, Loss};
use distlock_testbed::{Role, ZooKeeper, ZooKeeperEnsemble};
use tokio::time::{Instant, sleep, timeout};

use crate::{LONG, SOON, TTL, acquired, backend, locks, nodes_become, operator};

async fn ensemble() -> Result<ZooKeeperEnsemble> {
    ZooKeeperEnsemble::started(ZooKeeper::new).await
}

/// The lock, once the ensemble has come to itself.
async fn had(locks: &Locks, name: &str) -> Result<Guard> {
    let began = Instant::now();
    loop {
        match timeout(TTL + SOON, locks.lock(name).acquire()).await? {
            Ok(guard) => return Ok(guard),
            Err(error) if error.kind() != ErrorKind::Unavailable => bail!(error),
            Err(error) if began.elapsed() > 4 * SOON => bail!(error),
            Err(_) => {}
        }
    }
}

#[tokio::test]
async fn a_hold_and_a_place_in_line_outlive_the_leader() -> Result<()> {
    let ensemble = ensemble().await?;
    let (one, other) = (locks(&ensemble.url()).await?, locks(&ensemble.url()).await?);
    let guard = one.lock("x").ttl(LONG).acquire().await?;
    let next = acquired(&other, "x", LONG);
    crate::waiting(&one, "x", 1).await?;
    let leader = ensemble.leader().await?;
    ensemble.members[leader].kill().await?;
    ensemble.leader().await?;
    timeout(SOON, guard.ensure(LONG / 2)).await??;
    let token = guard.token();
    guard.release().await?;
    let next = timeout(LONG + SOON, next).await???;
    assert!(next.token() > token);
    Ok(())
}

#[tokio::test]
async fn a_session_moves_when_its_member_is_killed() -> Result<()> {
    let ensemble = ensemble().await?;
    let locks = locks(&ensemble.url()).await?;
    let guard = locks.lock("x").ttl(LONG).acquire().await?;
    for member in &ensemble.members {
        member.kill().await?;
        timeout(SOON, guard.ensure(LONG / 2)).await??;
        member.start().await?;
        ensemble.whole().await?;
    }
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_try_is_not_told_of_the_past() -> Result<()> {
    let ensemble = ZooKeeperEnsemble::started(|| ZooKeeper::new().setting("syncLimit=60")).await?;
    let (leader, follower) = (ensemble.leader().await?, ensemble.follower().await?);
    let ahead = locks(&ensemble.members[leader].url()).await?;
    let behind = locks(&ensemble.members[follower].url()).await?;
    // Its session is there, so that nothing has to be asked but for the lock.
    behind
        .lock("y")
        .ttl(LONG)
        .acquire()
        .await?
        .release()
        .await?;
    let guard = ahead.lock("x").ttl(LONG).acquire().await?;
    assert!(behind.lock("x").ttl(LONG).try_acquire().await?.is_none());
    ensemble.delay(leader, follower, Duration::from_millis(500));
    guard.release().await?;
    let next = behind.lock("x").ttl(LONG).try_acquire().await?;
    next.expect("a free lock").release().await?;
    Ok(())
}

/// The server that the holder is connected to is cut off from the others, and does not know it for
/// long: it goes on answering whatever needs no leader.
async fn never_two_when_parted(leader: bool) -> Result<()> {
    let ensemble = ZooKeeperEnsemble::started(|| ZooKeeper::new().setting("syncLimit=60")).await?;
    let member = match leader {
        true => ensemble.leader().await?,
        false => ensemble.follower().await?,
    };
    let others = ensemble.members.iter().enumerate();
    let others = others.filter(|(number, _)| *number != member);
    let others: Vec<_> = others
        .map(|(_, other)| other.address().to_string())
        .collect();
    let others = locks(&format!("zookeeper://{}", others.join(","))).await?;
    let cut_off = locks(&ensemble.members[member].url()).await?;
    let guard = had(&cut_off, "x").await?;
    ensemble.part(member);
    let next = had(&others, "x").await?;
    assert!(!guard.is_held(), "two hold at once");
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_follower_that_is_parted_from_its_leader_keeps_no_hold() -> Result<()> {
    never_two_when_parted(false).await
}

#[tokio::test]
async fn a_leader_that_is_parted_from_its_followers_keeps_no_hold() -> Result<()> {
    never_two_when_parted(true).await
}

#[tokio::test]
async fn a_member_that_only_reads_grants_nothing() -> Result<()> {
    let recipe = || ZooKeeper::new().reads_without_leader();
    let ensemble = ZooKeeperEnsemble::started(recipe).await?;
    let reader = ensemble.follower().await?;
    let url = ensemble.members[reader].url();
    let locks = locks(&url).await?;
    let guard = had(&locks, "x").await?;
    for (number, member) in ensemble.members.iter().enumerate() {
        if number != reader {
            member.kill().await?;
        }
    }
    let reads = async {
        // While it changes, it does not answer.
        while !matches!(ensemble.members[reader].role().await, Ok(Role::ReadOnly)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, reads).await?;
    assert_eq!(timeout(TTL + SOON, guard.lost()).await?, Loss::Expired);
    for lock in [locks.lock("x"), locks.lock("y")] {
        let error = lock.acquire().await.expect_err("nobody may write");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let error = backend(&url).await.expect_err("nobody may write");
    assert!(error.to_string().contains("may write"), "{error}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_once_a_lost_quorum_is_back() -> Result<()> {
    let ensemble = ensemble().await?;
    let locks = locks(&ensemble.url()).await?;
    let guard = had(&locks, "x").await?;
    let neighbour = locks.lock("neighbour").acquire().await?;
    let survivor = ensemble.follower().await?;
    for (number, member) in ensemble.members.iter().enumerate() {
        if number != survivor {
            member.kill().await?;
        }
    }
    // It is asked for, and cannot be done.
    drop(guard);
    let error = locks.lock("y").acquire().await.expect_err("no quorum");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    timeout(TTL + SOON, neighbour.lost()).await?;
    for member in &ensemble.members {
        member.start().await?;
    }
    ensemble.whole().await?;
    let operator = operator(&ensemble.url()).await?;
    for name in ["x", "y", "neighbour"] {
        nodes_become(&operator, name, 0).await?;
    }
    had(&locks, "x").await?.release().await?;
    sleep(Duration::from_millis(10)).await;
    Ok(())
}
