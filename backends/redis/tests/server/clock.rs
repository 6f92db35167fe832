//! The clock of the server is set while locks are held.

use anyhow::{Context, Result};
use distlock_core::{Guard, Loss};
use distlock_testbed::{Redis, Server};
use tokio::time::{sleep, timeout};

use crate::faults::{SOON, acquired, waits};
use crate::{TTL, locks};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

async fn server() -> Result<Server<Redis>> {
    Server::started(Redis::new().own_clock()).await
}

/// Numbers are the clock in microseconds, unless that is not behind the last one.
#[tokio::test]
async fn numbers_grow_however_the_clock_is_set() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let mut last = None;
    for ahead in [0, -HOUR, -DAY, HOUR, 0, 3 * DAY, -HOUR] {
        server.set_clock_ahead(ahead)?;
        let mut granted = |guard: &Guard| {
            let token = guard.token();
            assert!(
                last < Some(token),
                "{last:?}, then {token:?}, {ahead} ahead"
            );
            last = Some(token);
        };
        let guard = one.lock("a").acquire().await?;
        granted(&guard);
        let next = acquired(&other, "a", TTL);
        waits(&other, "a").await?;
        guard.release().await?;
        let guard = timeout(SOON, next).await.context("the next")???;
        granted(&guard);
        guard.release().await?;
    }
    Ok(())
}

/// It lives longer by the step for those who wait, if its client dies; alive, it is renewed, and
/// those behind it keep their places.
#[tokio::test]
async fn a_clock_set_back_ends_nothing() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a", TTL);
    waits(&other, "a").await?;
    server.set_clock_ahead(-HOUR)?;
    sleep(2 * TTL).await;
    assert!(guard.is_held() && !next.is_finished());
    let state = one.inspect("a").await?;
    assert_eq!((state.holders.len(), state.waiters.len()), (1, 1));
    guard.release().await?;
    let guard = timeout(SOON, next).await.context("the next")???;
    sleep(2 * TTL).await;
    assert!(guard.is_held());
    guard.release().await?;
    Ok(())
}

/// What the server has let expire it may grant to others, before the holder hears of it at its next
/// renewal: only tokens tell the two apart.
#[tokio::test]
async fn a_clock_set_forward_ends_holds_early_and_their_holders_are_told() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    server.set_clock_ahead(HOUR)?;
    let next = timeout(SOON, acquired(&other, "a", TTL)).await???;
    assert!(next.token() > guard.token());
    let loss = timeout(SOON, guard.lost()).await.context("no word of it")?;
    assert_eq!(loss, Loss::Revoked);
    assert!(next.is_held());
    guard.release().await.expect_err("it is lost");
    next.release().await?;
    assert!(one.inspect("a").await?.is_free());
    Ok(())
}
