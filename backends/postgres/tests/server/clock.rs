//! The clock of the server is set while locks are held and waited for.

use std::pin::pin;

use anyhow::{Context, Result};
use distlock_core::Loss;
use distlock_testbed::{Postgres, Server};
use tokio::time::{sleep, timeout};

use crate::{SOON, TTL, acquired, locks, waiting};

const HOUR: i64 = 3600;

/// Sessions are kept alive, and numbers come from a sequence.
#[tokio::test]
async fn a_clock_set_back_changes_nothing_for_the_living() -> Result<()> {
    let server = Server::started(Postgres::new().own_clock()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let mut guard = one.lock("a").acquire().await?;
    for (next, ahead) in [(&other, -HOUR), (&one, -2 * HOUR)] {
        let next = acquired(next, "a");
        waiting(&one, "a", 1).await?;
        server.set_clock_ahead(ahead)?;
        sleep(3 * TTL / 2).await;
        assert!(guard.is_held(), "{ahead} ahead: {guard:?}");
        assert!(!next.is_finished(), "{ahead} ahead: two hold it");
        let token = guard.token();
        guard.release().await?;
        let granted = timeout(SOON, next).await;
        guard = granted.with_context(|| format!("not granted, {ahead} ahead"))???;
        assert!(guard.token() > token, "{ahead} ahead");
    }
    guard.release().await?;
    assert!(one.inspect("a").await?.is_free());
    Ok(())
}

/// A timer of the server that was set before, and for something that is over, rings after it, and
/// takes all to be due that is so by the clock.
#[tokio::test]
async fn a_clock_set_forward_may_end_a_hold_whose_holder_is_told() -> Result<()> {
    let server = Server::started(Postgres::new().own_clock()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    let mut lost = pin!(guard.lost());
    let mut ahead = 0;
    let loss = loop {
        ahead += HOUR;
        server.set_clock_ahead(ahead)?;
        match timeout(TTL / 20, &mut lost).await {
            Ok(loss) => break loss,
            Err(_) => assert!(ahead < 400 * HOUR, "it is not ended"),
        }
    };
    assert_eq!(loss, Loss::Revoked);
    // It may have ended the waiter as well, who is told in the same way.
    drop(
        timeout(SOON, next)
            .await
            .context("no word to the waiter")??,
    );
    let again = timeout(SOON, acquired(&other, "a")).await;
    let again = again.context("not granted again")???;
    assert!(again.token() > guard.token());
    Ok(())
}

/// A timer of the server that rings before its time, by the clock, is set anew.
#[tokio::test]
async fn a_clock_set_back_keeps_the_locks_of_the_dead_for_as_much_longer() -> Result<()> {
    let server = Server::started(Postgres::new().own_clock()).await?;
    let proxy = server.proxy().await?;
    let one = locks(&server.url_through(&proxy)).await?;
    let other = locks(&server.url()).await?;
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&other, "a", 1).await?;
    proxy.black_hole();
    let back = 2 * TTL;
    server.set_clock_ahead(-i64::try_from(back.as_secs())?)?;
    sleep(back).await;
    assert!(!guard.is_held(), "its client knows better");
    assert!(!next.is_finished(), "not by the clock of the server");
    let next = timeout(SOON, next).await.context("the dead stays")???;
    next.release().await?;
    Ok(())
}
