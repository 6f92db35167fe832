//! A server that is killed, stopped, compacted or full.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{ErrorKind, Loss};
use distlock_testbed::{Etcd, Server};
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, TTL, acquired, keys, locks, locks_for, server, waiting};

#[tokio::test]
async fn holds_and_places_outlive_that_the_server_is_killed() -> Result<()> {
    let server = server().await?;
    let url = server.url();
    let (one, other) = (locks_for(LONG, &url).await?, locks_for(LONG, &url).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    let before = keys(&mut server.client().await?, "a").await?;
    server.kill().await?;
    server.start().await?;
    guard.ensure(LONG * 9 / 10).await?;
    assert_eq!(keys(&mut server.client().await?, "a").await?, before);
    let token = guard.token();
    guard.release().await?;
    let next = timeout(SOON, next).await???;
    assert!(next.token() > token);
    next.release().await?;
    Ok(())
}

/// The one that had it is told by its clock, or by the server once that is back.
#[tokio::test]
async fn a_server_that_lost_its_data_has_lost_the_holds() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    server.restart_empty().await?;
    timeout(SOON, guard.lost()).await?;
    assert!(guard.release().await.is_err());
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_past_the_ttl_ends_the_hold() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    server.pause().await?;
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    server.resume().await?;
    let next = timeout(SOON, other.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_for_a_moment_ends_nothing() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    server.pause().await?;
    sleep(TTL / 3).await;
    server.resume().await?;
    guard.ensure(TTL / 2).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_waiter_keeps_its_place_for_many_ttls() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    let before = keys(&mut client, "a").await?;
    let revision = revision(&server).await?;
    sleep(3 * TTL).await;
    assert_eq!(keys(&mut client, "a").await?, before);
    assert_eq!(self::revision(&server).await?, revision, "nobody writes");
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

async fn revision(server: &Server<Etcd>) -> Result<i64> {
    let answer = server.client().await?.get("x", None).await?;
    Ok(answer.header().context("no header")?.revision())
}

/// What was removed while the stream was down cannot be told any more.
#[tokio::test]
async fn a_waiter_looks_when_the_server_has_forgotten_what_happened() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let one = locks_for(LONG, &server.url()).await?;
    let other = locks_for(LONG, &server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    sleep(Duration::from_millis(500)).await;
    proxy.cut().await?;
    guard.release().await?;
    for _ in 0..10 {
        client.put("x", "", None).await?;
    }
    client.compact(revision(&server).await?, None).await?;
    proxy.heal().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_full_server_keeps_what_is_held_and_takes_no_more() -> Result<()> {
    // Whole pages, so that it is full to the last.
    let full = Etcd::new().flag("--quota-backend-bytes=204800");
    let server = Server::started(full).await?;
    let mut client = server.client().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    let filled = async { while client.put("x", vec![0; 2_000], None).await.is_ok() {} };
    timeout(SOON, filled).await?;
    let error = locks.lock("b").try_acquire().await.expect_err("a lock");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("database is full"), "{error}");
    sleep(2 * TTL).await;
    assert!(guard.is_held());
    guard.release().await?;
    assert!(keys(&mut client, "a").await?.is_empty());
    Ok(())
}
