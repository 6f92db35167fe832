//! What can go wrong between a client and a real server: each has a clear error, or ends in time,
//! and never in two holders.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Error, ErrorKind, Guard, Locks, Loss};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{PgBouncer, PoolMode, Postgres, PostgresPair, Server};
use sqlx::Row;
use tokio::time::{Instant, timeout};

const TTL: Duration = Duration::from_secs(4);
/// For what takes a few round trips, on a loaded machine.
const SOON: Duration = Duration::from_secs(8);

fn locks_at(url: &str) -> Result<Locks> {
    let backend = PostgresBackend::new(url.parse()?);
    Ok(Locks::builder().ttl(TTL).build(backend)?)
}

async fn server() -> Result<Server<Postgres>> {
    Server::started(Postgres::new()).await
}

async fn refused(locks: &Locks) -> Error {
    locks.lock("a").try_acquire().await.unwrap_err()
}

/// Ends the processes that serve clients of this library.
async fn kill_clients(server: &Server<Postgres>, state: &str) -> Result<()> {
    let kill = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '{state}'"
    );
    server.sql(&kill).await.map(drop)
}

async fn lost_soon(guard: &Guard) -> Result<Loss> {
    Ok(timeout(TTL / 4, guard.lost()).await?)
}

#[tokio::test]
async fn a_killed_backend_is_told_at_once() -> Result<()> {
    let server = server().await?;
    let locks = locks_at(&server.url())?;
    let guard = locks.lock("a").acquire().await?;
    kill_clients(&server, "distlock").await?;
    assert_eq!(lost_soon(&guard).await?, Loss::Revoked);
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_waiter_outlasts_that_its_backend_is_killed_or_cancelled() -> Result<()> {
    let server = server().await?;
    let (one, two) = (locks_at(&server.url())?, locks_at(&server.url())?);
    let guard = one.lock("a").acquire().await?;
    let waiting = tokio::spawn(two.lock("a").acquire());
    for how in ["pg_terminate_backend", "pg_cancel_backend"] {
        let hit = format!(
            "select {how}(pid) from pg_stat_activity where application_name like 'distlock waiting%'"
        );
        timeout(SOON, async {
            while server.sql(&hit).await?.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        })
        .await??;
    }
    assert!(guard.is_held() && !waiting.is_finished());
    guard.release().await?;
    timeout(SOON, waiting).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_heartbeat_is_no_loss() -> Result<()> {
    let server = server().await?;
    let locks = locks_at(&server.url())?;
    let guard = locks.lock("a").acquire().await?;
    let until = Instant::now() + 2 * TTL;
    while Instant::now() < until {
        server
            .sql("select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'distlock'")
            .await?;
    }
    assert!(guard.is_held());
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn tokens_grow_although_the_server_forgets_numbers() -> Result<()> {
    let recipe = Postgres::new().setting("synchronous_commit = off");
    let server = Server::started(recipe.setting("wal_writer_delay = 10s")).await?;
    let mut greatest = None;
    for round in 0..3 {
        let locks = locks_at(&server.url())?;
        for _ in 0..40 {
            let guard = locks.lock("a").acquire().await?;
            assert!(Some(guard.token()) > greatest);
            greatest = Some(guard.token());
            guard.release().await?;
        }
        match round {
            0 => {
                server.kill().await?;
                server.start().await?;
            }
            _ => server.restart_empty().await?,
        }
    }
    Ok(())
}

#[tokio::test]
async fn tokens_grow_past_a_failover_and_the_standby_is_refused_before() -> Result<()> {
    let pair = PostgresPair::started(Postgres::new).await?;
    let locks = locks_at(&pair.primary.url())?;
    let guard = locks.lock("a").acquire().await?;
    let standby = locks_at(&pair.standby.url())?;
    let error = refused(&standby).await;
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("standby"), "{error}");
    pair.primary.kill().await?;
    lost_soon(&guard).await?;
    pair.promote().await?;
    let next = timeout(SOON, standby.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn silence_is_a_loss_by_the_clock_and_frees_the_lock() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let cut_off = locks_at(&server.url_through(&proxy))?;
    let other = locks_at(&server.url())?;
    let guard = cut_off.lock("a").acquire().await?;
    proxy.black_hole();
    let next = timeout(TTL + SOON, other.lock("a").acquire()).await??;
    assert!(!guard.is_held(), "two that count themselves holders");
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_cut_connection_is_a_loss_at_once() -> Result<()> {
    let server = server().await?;
    let mut proxy = server.proxy().await?;
    let locks = locks_at(&server.url_through(&proxy))?;
    let guard = locks.lock("a").acquire().await?;
    proxy.cut().await?;
    assert_eq!(lost_soon(&guard).await?, Loss::Revoked);
    proxy.heal().await?;
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_an_administrator_does() -> Result<()> {
    let server = server().await?;
    server.sql("create role poor login").await?;
    let poor = locks_at(&server.url().replace("postgres@", "poor@"))?;
    let error = refused(&poor).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let told = error.to_string();
    let statement = told.split('`').find(|part| part.starts_with("create"));
    let statement = statement.context(told.clone())?.replace("<role>", "poor");
    server.sql(&statement).await?;
    poor.lock("a").acquire().await?.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_sequence_that_may_repeat_itself_is_refused() -> Result<()> {
    let server = server().await?;
    server
        .sql("create sequence public.distlock_number cache 20")
        .await?;
    let locks = locks_at(&server.url())?;
    let error = refused(&locks).await;
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let told = error.to_string();
    let remedy = told.split('`').find(|part| part.starts_with("alter"));
    server.sql(remedy.context(told.clone())?).await?;
    locks.lock("a").acquire().await?.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_without_room_says_so() -> Result<()> {
    let recipe = Postgres::new().setting("max_connections = 5");
    let server = Server::started(recipe.setting("superuser_reserved_connections = 0")).await?;
    let mut taken = Vec::new();
    while let Ok(connection) = server.connect().await {
        taken.push(connection);
    }
    let locks = locks_at(&server.url())?;
    let error = refused(&locks).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("max_connections"), "{error}");
    drop(taken);
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_full_lock_table_is_refused_before_others_suffer() -> Result<()> {
    let recipe = Postgres::new().setting("max_connections = 20");
    let server = Server::started(recipe.setting("max_locks_per_transaction = 10")).await?;
    let locks = locks_at(&server.url())?;
    let mut guards = Vec::new();
    let error = loop {
        match locks.lock(format!("{}", guards.len())).try_acquire().await {
            Ok(guard) => guards.push(guard.context("a free lock")?),
            Err(error) => break error,
        }
    };
    assert_eq!((guards.len(), error.kind()), (66, ErrorKind::Unavailable));
    assert!(
        error.to_string().contains("max_locks_per_transaction"),
        "{error}"
    );
    assert!(guards.iter().all(Guard::is_held));
    server.sql("create table unharmed as select 1").await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_not_told_to_anybody() -> Result<()> {
    let server = Server::started(Postgres::new().password()).await?;
    let url = server.url().replace(Postgres::PASSWORD, "hush-hush");
    let backend = PostgresBackend::new(url.parse()?);
    assert!(!format!("{backend:?}").contains("hush"));
    let error = refused(&Locks::new(backend)?).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_pooler_by_transactions_never_yields_two_holders() -> Result<()> {
    let server = server().await?;
    let pooler = PgBouncer::new(server.address(), PoolMode::Transaction);
    let pooler = Server::started(pooler.setting("default_pool_size = 4")).await?;
    let error = refused(&locks_at(&pooler.url())?).await;
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("transaction"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_pooler_by_sessions_will_do() -> Result<()> {
    let server = server().await?;
    let pooler = Server::started(PgBouncer::new(server.address(), PoolMode::Session)).await?;
    let locks = locks_at(&pooler.url())?;
    let guard = locks.lock("a").acquire().await?;
    let held = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1";
    let rows = server.sql(held).await?;
    assert_eq!(rows[0].try_get::<i64, _>(0)?, 1);
    guard.release().await?;
    Ok(())
}
