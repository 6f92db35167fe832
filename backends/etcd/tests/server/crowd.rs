//! Many at once, alive and dead.

use std::time::Duration;

use anyhow::Result;
use distlock_testbed::Way;
use etcd_client::PutOptions;
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, TTL, acquired, keys, locks, locks_for, server, waiting};

/// One hand-over costs the others nothing: each hears of it, and sends nothing.
#[tokio::test]
async fn a_hand_over_is_asked_about_by_none_of_the_others() -> Result<()> {
    const WAITERS: usize = 20;
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks_for(LONG, &server.url()).await?;
    let guard = one.lock("a").acquire().await?;
    let first = locks_for(LONG, &server.url()).await?;
    let first = acquired(&first, "a");
    waiting(&one, "a", 1).await?;
    let mut others = Vec::new();
    for _ in 0..WAITERS {
        let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
        others.push(acquired(&locks, "a"));
    }
    waiting(&one, "a", 1 + WAITERS).await?;
    sleep(Duration::from_millis(500)).await;
    let (asked, told) = (proxy.passed(Way::ToServer), proxy.passed(Way::ToClient));
    guard.release().await?;
    let guard = timeout(SOON, first).await???;
    let hearing = async {
        while proxy.passed(Way::ToClient) == told {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, hearing).await?;
    sleep(Duration::from_millis(500)).await;
    // But for a word of the protocol's own, that what was told has arrived.
    let asked = proxy.passed(Way::ToServer) - asked;
    assert!(asked < 50 * WAITERS as u64, "{asked} bytes");
    guard.release().await?;
    for other in others {
        timeout(SOON, other).await???.release().await?;
    }
    Ok(())
}

/// A server ends a thousand leases a second at the most, and those of a lock are among them.
#[tokio::test]
async fn a_hand_over_waits_for_none_of_the_leases_that_end_beside_it() -> Result<()> {
    const DEAD: usize = 3_000;
    let server = server().await?;
    let mut client = server.client().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    for number in 0..DEAD {
        let lease = client.lease_grant(2, None).await?.id();
        let under = PutOptions::new().with_lease(lease);
        client
            .put(format!("dead/{number}"), "", Some(under))
            .await?;
    }
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    guard.release().await?;
    let guard = timeout(TTL, next).await???;
    sleep(TTL).await;
    assert!(guard.is_held());
    guard.release().await?;
    Ok(())
}

/// History is forgotten all the time, and the connection with the watch is cut each time.
#[tokio::test]
async fn a_line_moves_on_while_the_server_forgets_and_cuts() -> Result<()> {
    const GRANTS: usize = 12;
    let server = server().await?;
    let proxy = server.proxy().await?;
    let mut client = server.client().await?;
    let forgetting = tokio::spawn(async move {
        loop {
            let now = client.put("x", "", None).await?;
            let revision = now.header().map_or(0, |header| header.revision());
            client.compact(revision, None).await?;
            sleep(Duration::from_millis(50)).await;
        }
        #[allow(unreachable_code, reason = "says of which type the errors are")]
        anyhow::Ok(())
    });
    let one = locks_for(LONG, &server.url()).await?;
    let other = locks_for(LONG, &server.url_through(&proxy)).await?;
    let mut token = None;
    for _ in 0..GRANTS {
        let guard = timeout(SOON, one.lock("a").acquire()).await??;
        let next = acquired(&other, "a");
        waiting(&one, "a", 1).await?;
        proxy.cut().await?;
        guard.release().await?;
        sleep(Duration::from_millis(100)).await;
        proxy.heal().await?;
        let next = timeout(SOON, next).await???;
        assert!(Some(next.token()) > token);
        token = Some(next.token());
        next.release().await?;
    }
    forgetting.abort();
    assert!(keys(&mut server.client().await?, "a").await?.is_empty());
    Ok(())
}
