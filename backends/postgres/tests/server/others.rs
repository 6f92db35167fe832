use std::collections::BTreeMap;

use anyhow::{Context, Result};
use distlock_core::{Guard, Locks};
use distlock_testbed::{Postgres, Server};
use sqlx::{Connection as _, PgConnection, Row};
use tokio::time::{sleep, timeout};

use crate::{LOCKS, SOON, acquired, becomes, locks, server, waiting};

/// The advisory locks that a connection has, as the server shows them.
async fn own(connection: &mut PgConnection) -> Result<i64> {
    let own = "select count(*) from pg_locks where locktype = 'advisory' and granted \
               and pid = pg_backend_pid()";
    Ok(sqlx::raw_sql(own).fetch_one(connection).await?.try_get(0)?)
}

#[tokio::test]
async fn advisory_locks_of_an_application_are_none_of_ours() -> Result<()> {
    let server = server().await?;
    let one = locks(&server.url()).await?;
    let guard = one.lock("a").acquire().await?;
    let mut application = server.connect().await?;
    sqlx::raw_sql(
        "select pg_advisory_lock(42), pg_advisory_lock(4, 2), pg_advisory_lock_shared(7)",
    )
    .execute(&mut application)
    .await?;
    let before = own(&mut application).await?;
    let state = one.inspect("a").await?;
    assert_eq!((state.holders.len(), state.waiters.len()), (1, 0));
    guard.release().await?;
    one.lock("a").acquire().await?.release().await?;
    drop(one);
    assert_eq!(own(&mut application).await?, before);
    application.close().await?;
    Ok(())
}

/// An application that takes the very lock of a name holds it, and is not ended for it.
#[tokio::test]
async fn who_holds_the_lock_of_a_name_otherwise_is_waited_for() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    let mut application = server.connect().await?;
    let same = "select (classid::int8 << 32 | objid::int8)::text from pg_locks \
                where locktype = 'advisory' and objsubid = 1";
    let rows = server.sql(same).await?;
    let key: String = rows.first().context("no lock")?.try_get(0)?;
    guard.release().await?;
    let take = format!("select pg_advisory_lock({key})");
    sqlx::raw_sql(sqlx::AssertSqlSafe(take))
        .execute(&mut application)
        .await?;
    assert!(locks.lock("a").try_acquire().await?.is_none());
    let next = acquired(&locks, "a");
    sleep(crate::TTL).await;
    assert_eq!(own(&mut application).await?, 1);
    assert!(!next.is_finished());
    application.close().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn another_database_has_names_and_numbers_of_its_own() -> Result<()> {
    let server = server().await?;
    server.sql("create database other").await?;
    let url = server.url();
    let elsewhere = url.strip_suffix("postgres").context("a database")?;
    let (here, there) = (
        locks(&url).await?,
        locks(&format!("{elsewhere}other")).await?,
    );
    let guard = here.lock("a").acquire().await?;
    assert!(there.inspect("a").await?.is_free());
    let beside = there
        .lock("a")
        .try_acquire()
        .await?
        .context("a free lock")?;
    assert_eq!(here.inspect("a").await?.holders.len(), 1);
    guard.release().await?;
    assert_eq!(there.inspect("a").await?.holders.len(), 1);
    beside.release().await?;
    Ok(())
}

/// Clients that were stopped while they waited cost those behind them nothing, once their TTL has
/// passed: not a TTL each.
#[tokio::test]
async fn clients_that_were_stopped_in_line_hold_up_nobody() -> Result<()> {
    let server = server().await?;
    let one = locks(&server.url()).await?;
    let guard = one.lock("a").acquire().await?;
    let mut stopped = Vec::new();
    for place in 1..=3 {
        let proxy = server.proxy().await?;
        let client = locks(&server.url_through(&proxy)).await?;
        let waits = acquired(&client, "a");
        waiting(&one, "a", place).await?;
        stopped.push((client, waits, proxy));
    }
    let next = acquired(&locks(&server.url()).await?, "a");
    waiting(&one, "a", 4).await?;
    for (_, _, proxy) in &stopped {
        proxy.black_hole();
    }
    sleep(crate::TTL * 3 / 2).await;
    guard.release().await?;
    let guard = timeout(crate::TTL / 2, next).await???;
    assert!(guard.is_held());
    Ok(())
}

/// What each client believes, and what the server shows.
async fn compare(server: &Server<Postgres>, held: &BTreeMap<String, usize>) -> Result<()> {
    let shown = "select count(distinct (pid, classid, objid)) filter (where mode = 'ExclusiveLock'), \
                 count(distinct (classid, objid)) from pg_locks \
                 where locktype = 'advisory' and objsubid = 1 and granted";
    let rows = server.sql(shown).await?;
    let row = rows.first().context("no row")?;
    let (writers, names): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let believed = |prefix: &str| {
        held.iter()
            .filter(|(name, count)| **count > 0 && name.starts_with(prefix))
            .count()
    };
    assert_eq!(usize::try_from(writers)?, believed("w"), "{held:?}");
    assert_eq!(usize::try_from(names)?, believed(""), "{held:?}");
    Ok(())
}

#[tokio::test]
async fn the_server_shows_what_clients_believe() -> Result<()> {
    let server = server().await?;
    let mut clients: Vec<Locks> = Vec::new();
    for _ in 0..4 {
        clients.push(locks(&server.url()).await?);
    }
    let mut guards: Vec<(String, Guard)> = Vec::new();
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..40 {
        for _ in 0..8 {
            let locks = &clients[fastrand::usize(..clients.len())];
            let number = fastrand::u8(..6);
            let (name, asked) = match fastrand::bool() {
                true => {
                    let name = format!("r{number}");
                    let asked = locks.rw_lock(&name).try_read().await?;
                    (name, asked)
                }
                false => {
                    let name = format!("w{number}");
                    let asked = locks.lock(&name).try_acquire().await?;
                    (name, asked)
                }
            };
            let is_free = name.starts_with('r') || held.get(&name).is_none_or(|count| *count == 0);
            assert_eq!(asked.is_some(), is_free, "{name}, of {held:?}");
            if let Some(guard) = asked {
                *held.entry(name.clone()).or_default() += 1;
                guards.push((name, guard));
            }
        }
        while guards.len() > 6 || (!guards.is_empty() && fastrand::u8(..3) == 0) {
            let (name, guard) = guards.swap_remove(fastrand::usize(..guards.len()));
            *held.entry(name).or_default() -= 1;
            guard.release().await?;
        }
        compare(&server, &held).await?;
    }
    guards.clear();
    for client in clients {
        timeout(SOON, client.settle()).await?;
    }
    becomes(&server, LOCKS, 0).await?;
    Ok(())
}
