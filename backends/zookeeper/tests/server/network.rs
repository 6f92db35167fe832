//! A network that fails at the worst moment.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Loss, Moment};
use distlock_testbed::Way;
use tokio::time::{sleep, timeout};

use crate::{
    AT_ONCE, LONG, SOON, TTL, acquired, locks, nodes, nodes_become, operator, server, waiting,
};

#[tokio::test]
async fn a_silent_network_ends_a_hold_in_time_and_another_gets_it() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let other = locks(&server.url()).await?;
    let guard = cut_off.lock("x").acquire().await?;
    proxy.black_hole();
    let began = Moment::now();
    let next = timeout(TTL + SOON, other.lock("x").acquire()).await??;
    assert!(!guard.is_held(), "two hold at once");
    // Three ticks of slack, and what a loaded machine adds.
    assert!(began.elapsed() < TTL + Duration::from_millis(600) + TTL);
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_hold_outlives_a_network_that_was_silent_for_a_while() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    let guard = locks.lock("x").ttl(LONG).acquire().await?;
    proxy.black_hole();
    sleep(LONG / 5).await;
    proxy.heal().await?;
    timeout(SOON, guard.ensure(LONG * 9 / 10)).await??;
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_place_in_line_outlive_their_connections() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let through = server.url_through(&proxy);
    let (one, other) = (locks(&through).await?, locks(&through).await?);
    let guard = one.lock("x").ttl(LONG).acquire().await?;
    let next = acquired(&other, "x", LONG);
    waiting(&one, "x", 1).await?;
    proxy.cut().await?;
    proxy.heal().await?;
    guard.ensure(LONG * 9 / 10).await?;
    guard.release().await?;
    // It is told, long before it would look.
    timeout(LONG / 4, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_turn_that_came_while_the_connection_was_broken_is_told() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let holder = locks(&server.url()).await?;
    let waiter = locks(&server.url_through(&proxy)).await?;
    let guard = holder.lock("x").ttl(LONG).acquire().await?;
    let next = acquired(&waiter, "x", LONG);
    waiting(&holder, "x", 1).await?;
    proxy.cut().await?;
    guard.release().await?;
    proxy.heal().await?;
    timeout(LONG / 4, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_node_whose_creation_was_not_answered_is_found() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    // Session and folder are there, so that nothing but the request for the node goes out.
    locks.lock("x").ttl(LONG).acquire().await?.release().await?;
    let neighbour = locks.lock("neighbour").ttl(LONG).acquire().await?;
    proxy.stall(Way::ToClient);
    let asked = acquired(&locks, "x", LONG);
    nodes_become(&operator, "x", 1).await?;
    let node = nodes(&operator, "x").await?;
    proxy.cut().await?;
    proxy.heal().await?;
    let guard = timeout(SOON, asked).await???;
    assert_eq!(nodes(&operator, "x").await?, node, "another node");
    guard.release().await?;
    nodes_become(&operator, "x", 0).await?;
    assert!(neighbour.is_held());
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_one_that_gave_up_before_the_answer_was_lost() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    locks.lock("x").ttl(LONG).acquire().await?.release().await?;
    let neighbour = locks.lock("neighbour").ttl(LONG).acquire().await?;
    proxy.stall(Way::ToClient);
    let asked = acquired(&locks, "x", LONG);
    nodes_become(&operator, "x", 1).await?;
    asked.abort();
    proxy.cut().await?;
    proxy.heal().await?;
    // Long before the next heartbeat, which would find what is left.
    timeout(AT_ONCE, nodes_become(&operator, "x", 0)).await??;
    assert!(neighbour.is_held());
    Ok(())
}

#[tokio::test]
async fn a_release_that_was_not_answered_is_one() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    let guard = locks.lock("x").ttl(LONG).acquire().await?;
    proxy.stall(Way::ToClient);
    let releasing = tokio::spawn(guard.release());
    nodes_become(&operator, "x", 0).await?;
    proxy.cut().await?;
    proxy.heal().await?;
    timeout(SOON, releasing).await???;
    Ok(())
}

/// At each place at which the connection can break, on the way there and back: at most one node
/// while it is asked for, and none once it is released.
#[tokio::test]
async fn a_connection_may_break_after_any_byte() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    for way in [Way::ToServer, Way::ToClient] {
        for bytes in (0..600).step_by(23) {
            let what = format!("broken after {bytes} bytes {way:?}");
            proxy.break_after(way, bytes);
            let guard = timeout(SOON, locks.lock("x").ttl(LONG).acquire()).await;
            let guard = guard.with_context(|| what.clone())??;
            assert_eq!(nodes(&operator, "x").await?.len(), 1, "{what}");
            let released = timeout(SOON, guard.release()).await;
            released.with_context(|| what.clone())??;
            assert_eq!(nodes(&operator, "x").await?.len(), 0, "{what}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_network_only_makes_it_slow() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    proxy.delay(Way::ToServer, Duration::from_millis(150));
    proxy.delay(Way::ToClient, Duration::from_millis(150));
    for _ in 0..3 {
        let guard = timeout(SOON, locks.lock("x").ttl(LONG).acquire()).await??;
        guard.ensure(LONG / 2).await?;
        guard.release().await?;
    }
    Ok(())
}
