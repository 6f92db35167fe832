//! Servers that stop, die and forget.

use std::time::Duration;

use anyhow::Result;
use distlock_core::Loss;
use tokio::time::{sleep, timeout};

use crate::{AT_ONCE, LONG, SOON, TTL, acquired, locks, nodes_become, operator, server, waiting};

#[tokio::test]
async fn a_hold_and_a_place_in_line_outlive_a_server_that_comes_back() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("x").ttl(LONG).acquire().await?;
    let next = acquired(&other, "x", LONG);
    waiting(&one, "x", 1).await?;
    server.kill().await?;
    server.start().await?;
    guard.ensure(LONG / 2).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_forgotten_all_ends_the_hold() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("x").acquire().await?;
    server.restart_empty().await?;
    // It turns away, without a reason, whoever has seen more than it has.
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    timeout(SOON, locks.lock("x").acquire())
        .await??
        .release()
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_past_the_ttl_ends_the_hold() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("x").acquire().await?;
    server.pause().await?;
    assert_eq!(timeout(TTL + SOON, guard.lost()).await?, Loss::Expired);
    server.resume().await?;
    let next = timeout(SOON, other.lock("x").acquire()).await??;
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_for_a_moment_ends_nothing() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("x").ttl(LONG).acquire().await?;
    server.pause().await?;
    sleep(Duration::from_secs(2)).await;
    server.resume().await?;
    guard.ensure(LONG * 9 / 10).await?;
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_one_that_gave_up_while_the_server_was_stopped() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    // Session and folder are there, so that nothing but the request for the node goes out.
    locks.lock("x").ttl(LONG).acquire().await?.release().await?;
    // It keeps the session alive, under which the other would be left.
    let neighbour = locks.lock("neighbour").ttl(LONG).acquire().await?;
    server.pause().await?;
    let given_up = acquired(&locks, "x", LONG);
    sleep(Duration::from_millis(200)).await;
    given_up.abort();
    sleep(Duration::from_millis(200)).await;
    server.resume().await?;
    timeout(SOON, locks.settle()).await?;
    // Once this is answered, so is all that was asked before.
    let later = locks.lock("y").ttl(LONG).acquire();
    timeout(SOON, later).await??.release().await?;
    // Long before the next heartbeat, which would find what is left.
    timeout(AT_ONCE, nodes_become(&operator, "x", 0)).await??;
    assert!(neighbour.is_held());
    Ok(())
}

#[tokio::test]
async fn tokens_grow_past_restarts() -> Result<()> {
    let server = server().await?;
    let mut before = None;
    for _ in 0..3 {
        let locks = locks(&server.url()).await?;
        let guard = locks.lock("x").acquire().await?;
        assert!(Some(guard.token()) > before);
        before = Some(guard.token());
        guard.release().await?;
        server.restart().await?;
    }
    Ok(())
}
