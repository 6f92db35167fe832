//! Names that one client alone asks for: it need not ask who stands before it, and notices all the
//! same when somebody does.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::Locks;
use distlock_zookeeper::zookeeper_client::Client;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, locks, nodes, operator, server, waiting};

/// Whoever has a node, and need not wait, is granted its lock long before.
const A_WHILE: Duration = Duration::from_millis(300);

/// So many locks in a row show that a name is quiet, also if some others make transactions.
const QUIET: u32 = 40;

/// Has these locks asked for the name so often that they take it for quiet.
async fn quieten(locks: &Locks, name: &str) -> Result<()> {
    for _ in 0..QUIET {
        locks
            .lock(name)
            .ttl(LONG)
            .acquire()
            .await?
            .release()
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_is_alone_makes_two_requests_for_each_lock() -> Result<()> {
    const LOCKS: u64 = 300;
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    quieten(&locks, "x").await?;
    let before = server.received().await?;
    for _ in 0..LOCKS {
        locks.lock("x").ttl(LONG).acquire().await?.release().await?;
    }
    let requests = server.received().await? - before;
    // The session has some of its own.
    assert!(requests < LOCKS * 5 / 2, "{requests}");
    Ok(())
}

#[tokio::test]
async fn whoever_comes_in_between_is_noticed() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    for name in ["a", "b", "c"] {
        quieten(&one, name).await?;
    }
    let exclusive = other.lock("a").ttl(LONG).acquire().await?;
    let shared = other.rw_lock("b").ttl(LONG).read().await?;
    let permit = other.semaphore("c", 1).ttl(LONG).acquire().await?;
    let next = [
        tokio::spawn(one.rw_lock("a").ttl(LONG).read()),
        tokio::spawn(one.lock("b").ttl(LONG).acquire()),
        tokio::spawn(one.semaphore("c", 1).ttl(LONG).acquire()),
    ];
    for name in ["a", "b", "c"] {
        waiting(&other, name, 1).await?;
    }
    sleep(A_WHILE).await;
    assert!(!next.iter().any(JoinHandle::is_finished));
    for guard in [exclusive, shared, permit] {
        guard.release().await?;
    }
    for next in next {
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_has_come_and_gone_is_in_nobodys_way() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    for _ in 0..3 {
        quieten(&one, "x").await?;
        let guard = timeout(SOON, other.lock("x").ttl(LONG).acquire()).await??;
        guard.release().await?;
    }
    let last = timeout(SOON, one.lock("x").ttl(LONG).acquire()).await??;
    last.release().await?;
    Ok(())
}

#[tokio::test]
async fn those_of_one_client_are_noticed_too() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    quieten(&locks, "x").await?;
    let readers = [
        locks.rw_lock("x").ttl(LONG).read().await?,
        locks.rw_lock("x").ttl(LONG).read().await?,
    ];
    let [one, other] = readers;
    one.release().await?;
    let writer = tokio::spawn(locks.rw_lock("x").ttl(LONG).write());
    waiting(&locks, "x", 1).await?;
    sleep(A_WHILE).await;
    assert!(!writer.is_finished());
    other.release().await?;
    timeout(SOON, writer).await???.release().await?;
    Ok(())
}

/// The number that the server has put behind the last node of this name.
async fn last_number(operator: &Client) -> Result<u32> {
    let nodes = nodes(operator, "x").await?;
    let number = nodes.last().and_then(|node| node.rsplit('-').next());
    Ok(number.context("a node")?.parse()?)
}

#[tokio::test]
async fn numbers_that_begin_anew_are_not_taken_for_those_that_follow() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    // In another folder, as many are made again, of which the last stays.
    quieten(&one, "x").await?;
    operator.delete("/distlock/x", None).await?;
    for _ in 1..QUIET {
        let guard = other.lock("x").ttl(LONG).acquire().await?;
        guard.release().await?;
    }
    let guard = other.lock("x").ttl(LONG).acquire().await?;
    assert_eq!(last_number(&operator).await?, QUIET - 1);
    let next = tokio::spawn(one.lock("x").ttl(LONG).acquire());
    waiting(&other, "x", 1).await?;
    assert_eq!(last_number(&operator).await?, QUIET);
    sleep(A_WHILE).await;
    assert!(!next.is_finished());
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn whoever_was_not_the_first_is_not_alone() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let reader = other.rw_lock("x").ttl(LONG).read().await?;
    for _ in 0..QUIET {
        let beside = one.rw_lock("x").ttl(LONG).read().await?;
        beside.release().await?;
    }
    let writer = tokio::spawn(one.rw_lock("x").ttl(LONG).write());
    waiting(&other, "x", 1).await?;
    sleep(A_WHILE).await;
    assert!(!writer.is_finished());
    reader.release().await?;
    timeout(SOON, writer).await???.release().await?;
    Ok(())
}
