//! A network that loses, delays and cuts.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{ErrorKind, Loss};
use distlock_testbed::Way;
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, TTL, acquired, keys, keys_become, locks, locks_for, server, waiting};

#[tokio::test]
async fn a_hold_outlives_a_network_that_was_silent_for_a_while() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(2 * TTL, &server.url_through(&proxy)).await?;
    let guard = locks.lock("a").acquire().await?;
    proxy.black_hole();
    sleep(TTL).await;
    proxy.heal().await?;
    guard.ensure(TTL).await?;
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_cut_off_loses_its_hold_by_its_clock_and_for_good() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let (one, other) = (
        locks(&server.url_through(&proxy)).await?,
        locks(&server.url()).await?,
    );
    let guard = one.lock("a").acquire().await?;
    let beside = one.lock("b").acquire().await?;
    proxy.black_hole();
    let next = acquired(&other, "a");
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    assert!(!next.is_finished(), "granted before the holder knew");
    proxy.heal().await?;
    let next = timeout(SOON, next).await???;
    assert!(next.token() > guard.token());
    assert!(!beside.is_held());
    keys_become(&mut client, "b", 0).await?;
    one.lock("b").acquire().await?.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_waiter_is_told_although_its_connection_was_cut() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks_for(LONG, &server.url()).await?;
    let other = locks_for(LONG, &server.url_through(&proxy)).await?;
    for is_told_before in [false, true] {
        let guard = one.lock("a").acquire().await?;
        let before = is_told_before.then(|| acquired(&one, "a"));
        let next = acquired(&other, "a");
        waiting(&one, "a", 1 + usize::from(is_told_before)).await?;
        sleep(Duration::from_millis(500)).await;
        if let Some(before) = before {
            before.abort();
            waiting(&one, "a", 1).await?;
            sleep(Duration::from_millis(500)).await;
        }
        proxy.cut().await?;
        guard.release().await?;
        proxy.heal().await?;
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_is_told_that_it_is_gone_although_its_connection_was_cut() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
    let guard = locks.lock("a").acquire().await?;
    // So that it is watched by now.
    sleep(Duration::from_millis(500)).await;
    proxy.cut().await?;
    let (key, _) = keys(&mut client, "a").await?.remove(0);
    client.delete(key, None).await?;
    proxy.heal().await?;
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Revoked);
    Ok(())
}

/// Wherever the answers break off, one key stands in the end, and then none.
#[tokio::test]
async fn a_lost_answer_yields_one_entry() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    locks.lock("b").acquire().await?.release().await?;
    for bytes in (0..200).step_by(20) {
        proxy.break_after(Way::ToClient, bytes);
        let guard = timeout(SOON, locks.lock("a").acquire()).await;
        let guard = guard.with_context(|| format!("after {bytes} bytes"))??;
        proxy.heal().await?;
        assert_eq!(keys(&mut client, "a").await?.len(), 1);
        proxy.break_after(Way::ToClient, bytes);
        guard.release().await?;
        proxy.heal().await?;
        assert_eq!(keys(&mut client, "a").await?.len(), 0);
    }
    Ok(())
}

/// What was on its way when the caller gave up is waited for before the key is removed.
#[tokio::test]
async fn a_request_that_comes_late_leaves_nothing() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
    let beside = locks.lock("b").acquire().await?;
    for _ in 0..20 {
        proxy.stall(Way::ToServer);
        let acquire = locks.lock("a").acquire_within(Duration::from_millis(20));
        let error = acquire.await.expect_err("a lock");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        proxy.heal().await?;
        timeout(SOON, locks.settle()).await?;
        assert_eq!(keys(&mut client, "a").await?.len(), 0);
    }
    sleep(TTL).await;
    assert_eq!(keys(&mut client, "a").await?.len(), 0);
    assert!(beside.is_held());
    Ok(())
}

#[tokio::test]
async fn a_waiter_waits_in_silence() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks_for(LONG, &server.url()).await?;
    let other = locks_for(LONG, &server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    sleep(Duration::from_millis(500)).await;
    let before = proxy.passed(Way::ToServer);
    sleep(2 * TTL).await;
    assert_eq!(proxy.passed(Way::ToServer), before);
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn whoever_only_waits_asks_for_nothing() -> Result<()> {
    const WAITERS: usize = 8;
    let server = server().await?;
    let proxy = server.proxy().await?;
    let holder = locks_for(LONG, &server.url()).await?;
    let waiter = locks(&server.url_through(&proxy)).await?;
    let mut guards = Vec::new();
    for number in 0..=WAITERS {
        guards.push(holder.lock(number.to_string()).acquire().await?);
    }
    let mut waiting = Vec::new();
    let mut sent = Vec::new();
    for numbers in [0..1, 1..WAITERS + 1] {
        waiting.extend(numbers.map(|number| acquired(&waiter, &number.to_string())));
        sleep(TTL).await;
        let before = proxy.passed(Way::ToServer);
        sleep(2 * TTL).await;
        sent.push(proxy.passed(Way::ToServer) - before);
    }
    // A look of each, once, would be more.
    const LOOK: u64 = 64;
    let more = sent[1].saturating_sub(sent[0]);
    assert!(more < LOOK * WAITERS as u64, "{sent:?}");
    drop(guards);
    for next in waiting {
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}
