use std::error::Error as _;
use std::pin::pin;
use std::task::{Context as Polling, Poll, Waker};

use anyhow::{Context, Result};
use distlock_core::{Error, ErrorKind};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{PgBouncer, PoolMode, Postgres, PostgresPair, Server};
use tokio::time::timeout;

use crate::{LOCKS, SOON, TTL, acquired, becomes, locks, number, server, waiting};

/// In each URL that is refused.
pub(crate) const PASSWORD: &str = "hunter2";

/// That an error is of this kind, says this, and tells no password, nor does any that caused it.
#[track_caller]
pub(crate) fn assert_told(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        told += &format!("{cause} {cause:?}");
        source = cause.source();
    }
    assert!(!told.contains(PASSWORD), "{told}");
}

pub(crate) async fn refused(url: &str) -> Error {
    PostgresBackend::connect(url).await.expect_err(url)
}

fn of_user(server: &Server<Postgres>, user: &str, database: &str) -> String {
    format!(
        "postgres://{user}:{PASSWORD}@{}/{database}",
        server.address()
    )
}

/// What an error says between backquotes that begins so.
fn statement<'a>(error: &'a str, begins: &str) -> Result<&'a str> {
    let mut quoted = error.split('`').skip(1).step_by(2);
    let found = quoted.find(|part| part.starts_with(begins));
    found.with_context(|| error.to_owned())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() -> Result<()> {
    let server = server().await?;
    server.kill().await?;
    let error = refused(&of_user(&server, "postgres", "postgres")).await;
    assert_told(&error, ErrorKind::Unavailable, "cannot be reached");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_unauthorized() -> Result<()> {
    let server = Server::started(Postgres::new().password()).await?;
    for user in ["postgres", "nobody"] {
        let error = refused(&of_user(&server, user, "postgres")).await;
        assert_told(&error, ErrorKind::Unauthorized, "let this role in");
    }
    let backend = PostgresBackend::connect(&server.url()).await?;
    assert!(!format!("{backend:?}").contains(Postgres::PASSWORD));
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told() -> Result<()> {
    let server = server().await?;
    let error = refused(&of_user(&server, "postgres", "nowhere")).await;
    assert_told(&error, ErrorKind::Misconfigured, "no database of this name");
    Ok(())
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_an_administrator_does() -> Result<()> {
    let server = server().await?;
    server.sql("create role poor login").await?;
    let url = of_user(&server, "poor", "postgres");
    let error = refused(&url).await;
    assert_told(&error, ErrorKind::Unauthorized, "administrator");
    let told = error.to_string();
    let remedy = statement(&told, "create sequence")?.replace("<role>", "poor");
    server.sql(&remedy).await?;
    let poor = locks(&url).await?;
    let guard = poor.lock("a").acquire().await?;
    let next = acquired(&locks(&url).await?, "a");
    waiting(&poor, "a", 1).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_sequence_of_another_role_is_told() -> Result<()> {
    let server = server().await?;
    locks(&server.url()).await?;
    server.sql("create role poor login").await?;
    let error = refused(&of_user(&server, "poor", "postgres")).await;
    assert_told(
        &error,
        ErrorKind::Unauthorized,
        "grant usage, select, update",
    );
    Ok(())
}

#[tokio::test]
async fn a_sequence_that_may_repeat_itself_is_refused() -> Result<()> {
    let server = server().await?;
    for fault in ["cache 20", "cycle", "increment 2"] {
        let make = format!("create sequence public.distlock_number {fault}");
        server.sql(&make).await?;
        let error = refused(&server.url()).await;
        assert_told(&error, ErrorKind::Misconfigured, "may repeat itself");
        server.sql(statement(&error.to_string(), "alter")?).await?;
        locks(&server.url()).await?;
        server.sql("drop sequence public.distlock_number").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_is_refused_until_it_is_promoted() -> Result<()> {
    let pair = PostgresPair::started(Postgres::new).await?;
    let error = refused(&pair.standby.url()).await;
    assert_told(&error, ErrorKind::Misconfigured, "standby");
    pair.promote().await?;
    let locks = locks(&pair.standby.url()).await?;
    locks.lock("a").acquire().await?.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_pooler_by_transactions_is_refused_and_left_as_it_was() -> Result<()> {
    let server = server().await?;
    let pooler = PgBouncer::new(server.address(), PoolMode::Transaction);
    let pooler = Server::started(pooler.setting("default_pool_size = 4")).await?;
    for _ in 0..3 {
        let error = refused(&pooler.url()).await;
        assert_told(&error, ErrorKind::Misconfigured, "for a transaction");
    }
    becomes(&server, LOCKS, 0).await
}

#[tokio::test]
async fn a_pooler_by_sessions_will_do() -> Result<()> {
    let server = server().await?;
    let pooler = Server::started(PgBouncer::new(server.address(), PoolMode::Session)).await?;
    let (one, other) = (locks(&pooler.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    assert!(other.lock("a").try_acquire().await?.is_none());
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    guard.release().await?;
    let guard = timeout(SOON, next).await???;
    let next = acquired(&one, "a");
    waiting(&other, "a", 1).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

/// Each of these would end a session, a wait or a transaction, or let a number be forgotten.
#[tokio::test]
async fn settings_of_a_role_do_no_harm() -> Result<()> {
    let server = server().await?;
    // Shorter than the TTL, and longer than it takes to connect.
    let settings = [
        "statement_timeout = '1s'",
        "lock_timeout = '1s'",
        "idle_session_timeout = '1s'",
        "idle_in_transaction_session_timeout = '1s'",
        "default_transaction_read_only = on",
        "default_transaction_isolation = serializable",
        "synchronous_commit = off",
    ];
    let settings = settings.map(|setting| format!("alter role postgres set {setting};"));
    server.sql(&settings.concat()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    tokio::time::sleep(TTL).await;
    assert!(guard.is_held());
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                 and now() - query_start > interval '2 s'";
    assert_eq!(
        number(&server, waits).await?,
        1,
        "one wait, never begun anew"
    );
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[test]
fn without_a_runtime_it_says_so() {
    let mut polling = Polling::from_waker(Waker::noop());
    let connecting = pin!(PostgresBackend::connect("postgres://127.0.0.1:1/x"));
    let Poll::Ready(Err(error)) = connecting.poll(&mut polling) else {
        panic!("connected without a runtime");
    };
    assert_told(&error, ErrorKind::Misconfigured, "tokio runtime");
}
