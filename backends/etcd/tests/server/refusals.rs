//! What is refused, and how that is told.

use std::error::Error as _;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Polling, Poll, Waker};

use anyhow::Result;
use distlock_core::{Error, ErrorKind, Loss};
use distlock_etcd::EtcdBackend;
use distlock_testbed::{Etcd, EtcdCluster, Server};
use etcd_client::Permission;
use tokio::time::{sleep, timeout};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use crate::{SOON, TTL, acquired, keys_become, known, locks, server, waiting};

pub(crate) const PASSWORD: &str = "open-sesame";

/// That an error is of this kind, says this, and tells no secret.
pub(crate) fn assert_told(error: &Error, kind: ErrorKind, says: &str) {
    let mut told = format!("{error} {error:?}");
    assert_eq!(error.kind(), kind, "{told}");
    assert!(error.to_string().contains(says), "{told}");
    let mut source = error.source();
    while let Some(cause) = source {
        told += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    assert!(!told.contains(PASSWORD), "{told}");
}

pub(crate) async fn refused(url: &str) -> Error {
    EtcdBackend::connect(url).await.expect_err(url)
}

pub(crate) fn of_user(server: &Server<Etcd>, user: &str, password: &str) -> String {
    format!("etcd://{user}:{password}@{}", server.address())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() -> Result<()> {
    let server = server().await?;
    server.kill().await?;
    let error = refused(&server.url()).await;
    assert_told(&error, ErrorKind::Unavailable, "cannot be reached");
    Ok(())
}

#[tokio::test]
async fn users_are_let_in_by_their_password() -> Result<()> {
    let server = server().await?;
    let error = refused(&of_user(&server, "root", PASSWORD)).await;
    assert_told(&error, ErrorKind::Misconfigured, "knows no users");
    server.require_users(PASSWORD).await?;
    let error = refused(&of_user(&server, "root", "wrong")).await;
    assert_told(&error, ErrorKind::Unauthorized, "refused the user");
    let error = refused(&of_user(&server, "nobody", PASSWORD)).await;
    assert_told(&error, ErrorKind::Unauthorized, "refused the user");
    let url = of_user(&server, "root", PASSWORD);
    let backend = EtcdBackend::connect(&url).await?;
    assert!(!format!("{backend:?}").contains(PASSWORD));
    locks(&url)
        .await?
        .lock("a")
        .acquire()
        .await?
        .release()
        .await?;
    Ok(())
}

#[tokio::test]
async fn nobody_is_let_in_without_a_user_where_one_is_required() -> Result<()> {
    let server = server().await?;
    server.require_users(PASSWORD).await?;
    let error = match locks(&server.url()).await {
        Ok(locks) => locks.lock("a").acquire().await.expect_err("a lock"),
        Err(error) => error.downcast()?,
    };
    assert_told(&error, ErrorKind::Unauthorized, "without a user");
    Ok(())
}

#[tokio::test]
async fn a_user_without_rights_is_told_which() -> Result<()> {
    let server = server().await?;
    server.require_users(PASSWORD).await?;
    let mut root = server.client_of("root", PASSWORD).await?;
    root.role_add("locks").await?;
    root.user_add("poor", PASSWORD, None).await?;
    root.user_grant_role("poor", "locks").await?;
    let url = of_user(&server, "poor", PASSWORD);
    let poor = locks(&url).await?;
    let error = poor.lock("a").acquire().await.expect_err("a lock");
    assert_told(
        &error,
        ErrorKind::Unauthorized,
        "--prefix=true <namespace>/",
    );
    let rights = Permission::read_write("distlock/").with_prefix();
    root.role_grant_permission("locks", rights).await?;
    // With no more than that, all is done.
    let (one, other) = (locks(&url).await?, locks(&url).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    sleep(TTL).await;
    assert!(guard.is_held());
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

/// What the server refuses to confirm ends with its validity.
#[tokio::test]
async fn a_user_whose_rights_are_taken_away_holds_no_longer() -> Result<()> {
    let server = server().await?;
    server.require_users(PASSWORD).await?;
    let mut root = server.client_of("root", PASSWORD).await?;
    root.role_add("locks").await?;
    root.user_add("some", PASSWORD, None).await?;
    root.user_grant_role("some", "locks").await?;
    let rights = Permission::read_write("distlock/").with_prefix();
    root.role_grant_permission("locks", rights).await?;
    let locks = locks(&of_user(&server, "some", PASSWORD)).await?;
    let guard = locks.lock("a").acquire().await?;
    root.user_revoke_role("some", "locks").await?;
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    let error = locks.lock("b").try_acquire().await.expect_err("a lock");
    assert_told(&error, ErrorKind::Unauthorized, "role grant-permission");
    // Nobody keeps it alive.
    keys_become(&mut root, "a", 0).await
}

#[tokio::test]
async fn a_hold_outlives_the_token_of_its_user() -> Result<()> {
    let server = Server::started(Etcd::new().flag("--auth-token-ttl=1")).await?;
    server.require_users(PASSWORD).await?;
    let url = of_user(&server, "root", PASSWORD);
    let (one, other) = (locks(&url).await?, locks(&url).await?);
    let guard = one.lock("a").acquire().await?;
    sleep(2 * TTL).await;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    sleep(TTL).await;
    assert!(guard.is_held());
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn the_shortest_ttl_is_that_of_the_server() -> Result<()> {
    let slow = Etcd::new().flag("--heartbeat-interval=500");
    let slow = Server::started(slow.flag("--election-timeout=5000")).await?;
    let locks = locks(&slow.url()).await;
    let error: Error = locks.expect_err("a TTL of 4 s").downcast()?;
    assert_told(&error, ErrorKind::InvalidInput, "8s");
    Ok(())
}

#[tokio::test]
async fn no_quorum_is_told_in_time() -> Result<()> {
    let cluster = EtcdCluster::started(Etcd::new).await?;
    let locks = locks(&cluster.url()).await?;
    for member in &cluster.members[1..] {
        member.kill().await?;
    }
    let tried = timeout(SOON, locks.lock("a").try_acquire()).await?;
    let error = tried.expect_err("a lock");
    assert_told(&error, ErrorKind::Unavailable, "");
    Ok(())
}

/// Hears the fields of warnings.
struct Warnings(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            let mut told = self.0.lock().unwrap();
            event.record(
                &mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                    *told += &format!("{value:?} ");
                },
            );
        }
    }
}

#[tokio::test]
async fn a_version_that_ends_leases_at_a_wrong_time_is_warned_of() -> Result<()> {
    let server = server().await?;
    let version = known::version(&mut server.client().await?).await?;
    let told = Arc::<Mutex<String>>::default();
    let subscriber = Registry::default().with(Warnings(Arc::clone(&told)));
    let guard = tracing::subscriber::set_default(subscriber);
    EtcdBackend::connect(&server.url()).await?;
    drop(guard);
    let told = told.lock().unwrap().clone();
    let is_flawed = version < [3, 5, 0] || known::obeys_old_leaders(version);
    assert_eq!(told.contains("leases"), is_flawed, "{told}");
    Ok(())
}

#[test]
fn without_a_runtime_it_says_so() {
    let mut polling = Polling::from_waker(Waker::noop());
    let connecting = pin!(EtcdBackend::connect("etcd://127.0.0.1:1"));
    let Poll::Ready(Err(error)) = connecting.poll(&mut polling) else {
        panic!("connected without a runtime");
    };
    assert_told(&error, ErrorKind::Misconfigured, "tokio runtime");
}
