use anyhow::{Context, Result};
use distlock_core::{ErrorKind, Guard};
use distlock_testbed::{Postgres, Server};
use tokio::time::{sleep, timeout};

use crate::refusals::{assert_told, refused};
use crate::{SOON, TTL, acquired, becomes, locks};

#[tokio::test]
async fn a_server_without_room_says_so_and_keeps_what_is_held() -> Result<()> {
    let recipe = Postgres::new().setting("max_connections = 6");
    let server = Server::started(recipe.setting("superuser_reserved_connections = 0")).await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    let mut taken = Vec::new();
    while let Ok(connection) = server.connect().await {
        taken.push(connection);
    }
    let error = refused(&server.url()).await;
    assert_told(&error, ErrorKind::Unavailable, "max_connections");
    // Without a connection of its own, to wait on, it has to ask now and then.
    let patience = TTL / 2;
    let waiting = tokio::spawn(locks.lock("a").acquire_within(patience));
    let error = timeout(SOON, waiting).await??.expect_err("two holders");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    sleep(TTL).await;
    assert!(guard.is_held());
    drop(taken);
    guard.release().await?;
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_takes_no_more_of_the_lock_table_than_its_share() -> Result<()> {
    let recipe = Postgres::new().setting("max_connections = 20");
    let server = Server::started(recipe.setting("max_locks_per_transaction = 10")).await?;
    let locks = locks(&server.url()).await?;
    let mut guards = Vec::new();
    let error = loop {
        match locks.lock(format!("{}", guards.len())).try_acquire().await {
            Ok(guard) => guards.push(guard.context("a free lock")?),
            Err(error) => break error,
        }
    };
    assert_eq!(guards.len(), 66, "a third of the server's 200");
    assert_told(&error, ErrorKind::Unavailable, "max_locks_per_transaction");
    assert!(guards.iter().all(Guard::is_held));
    server.sql("create table unharmed as select 1").await?;
    guards.pop().context("a guard")?.release().await?;
    locks.lock("again").acquire().await?.release().await?;
    Ok(())
}

/// Some of what was asked for together was granted then, and has to be given back.
#[tokio::test]
async fn a_lock_table_that_others_have_filled_says_so_and_leaves_nothing() -> Result<()> {
    let recipe = Postgres::new().setting("max_connections = 20");
    let server = Server::started(recipe.setting("max_locks_per_transaction = 10")).await?;
    let locks = locks(&server.url()).await?;
    let held = locks.lock("held").acquire().await?;
    let mut hog = server.connect().await?;
    let fill = "select pg_advisory_lock(0, i) from generate_series(1, 100000) as i";
    assert!(sqlx::raw_sql(fill).execute(&mut hog).await.is_err());
    let mut failures = 0;
    let mut guards = Vec::new();
    let asked: Vec<_> = (0..60)
        .map(|i| tokio::spawn(locks.lock(format!("{i}")).try_acquire()))
        .collect();
    for asked in asked {
        match timeout(SOON, asked).await?? {
            Ok(guard) => guards.extend(guard),
            Err(error) => {
                assert_told(&error, ErrorKind::Unavailable, "lock table is full");
                failures += 1;
            }
        }
    }
    assert!(failures > 0, "a table that is full has room");
    sqlx::raw_sql("select pg_advisory_unlock_all()")
        .execute(&mut hog)
        .await?;
    guards.clear();
    timeout(SOON, locks.settle()).await?;
    for i in 0..60 {
        let guard = locks.lock(format!("{i}")).try_acquire().await?;
        guard.context("left behind")?.release().await?;
    }
    held.release().await?;
    Ok(())
}

/// Those who wait have a connection each, and there are no more than sixteen.
#[tokio::test]
async fn more_than_there_are_connections_to_wait_on_are_served() -> Result<()> {
    const WAITS: &str = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    let server = Server::started(Postgres::new()).await?;
    let (holder, waiter) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let mut held = Vec::new();
    let mut waiting = Vec::new();
    for number in 0..24 {
        let name = number.to_string();
        held.push(holder.lock(&name).acquire().await?);
        waiting.push(acquired(&waiter, &name));
    }
    becomes(&server, WAITS, 16).await?;
    drop(held);
    for next in waiting {
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}
