//! Servers that do not let a client in, or not in that way: what is said, and what is not.

use std::time::Duration;

use anyhow::Result;
use distlock_core::{Error, ErrorKind, Locks};
use distlock_testbed::{Server, ZooKeeper};
use distlock_zookeeper::zookeeper_client::{Acl, AuthId, Permission};
use distlock_zookeeper::{ZooKeeperBackend, ZooKeeperOptions};
use tokio::time::timeout;

use crate::{SOON, locks, operator, server, told};

const PASSWORD: &str = "open-sesame";

/// That an error is of this kind, says this, and tells no secret.
pub(crate) fn assert_told(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
    let all = format!("{error:?} {error}");
    assert!(!all.contains(PASSWORD), "{all}");
}

pub(crate) async fn refused(url: &str) -> Error {
    let connecting = timeout(SOON, ZooKeeperBackend::connect(url)).await;
    connecting.expect("an answer").expect_err("it was let in")
}

fn with_user(url: &str, user: &str) -> String {
    told(&url.replace("://", &format!("://{user}:{PASSWORD}@")))
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() -> Result<()> {
    let server = server().await?;
    server.kill().await?;
    let error = refused(&with_user(&server.url(), "somebody")).await;
    assert_told(&error, ErrorKind::Unavailable, "can be reached");
    Ok(())
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable() -> Result<()> {
    let server = server().await?;
    server.pause().await?;
    let error = refused(&told(&server.url())).await;
    assert_told(&error, ErrorKind::Unavailable, "");
    Ok(())
}

#[tokio::test]
async fn the_locks_of_a_user_are_nobody_else_s() -> Result<()> {
    let server = server().await?;
    let own = ZooKeeperBackend::connect(&with_user(&server.url(), "somebody")).await?;
    let shown = format!("{own:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    let own = Locks::new(own)?;
    let guard = own.lock("x").acquire().await?;
    for url in [
        told(&server.url()),
        with_user(&server.url(), "somebody-else"),
    ] {
        let other = Locks::new(ZooKeeperBackend::connect(&url).await?)?;
        let error = timeout(SOON, other.lock("x").acquire()).await?;
        let error = error.expect_err("a lock of another user");
        assert_told(&error, ErrorKind::Unauthorized, "rights");
        // Another namespace is as good for anybody.
        let other = Locks::builder()
            .namespace(format!("of-{}", url.len()))
            .build(ZooKeeperBackend::connect(&url).await?)?;
        other.lock("x").acquire().await?.release().await?;
    }
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_with_longer_ticks_than_it_was_said_is_told() -> Result<()> {
    let server = Server::started(ZooKeeper::new().setting("tickTime=2000")).await?;
    let locks = locks(&server.url()).await?;
    let lock = locks.lock("x").ttl(Duration::from_millis(800));
    let error = lock.acquire().await.expect_err("a session of four seconds");
    assert_told(&error, ErrorKind::Misconfigured, "for 4s where 1.1s");
    assert_told(&error, ErrorKind::Misconfigured, "`tick_time`");
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_shorter_than_it_was_asked_for_is_used_as_it_is() -> Result<()> {
    let server = Server::started(ZooKeeper::new().setting("maxSessionTimeout=2000")).await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("x").ttl(SOON).acquire().await?;
    assert!(guard.valid_for() <= Duration::from_millis(1700));
    tokio::time::sleep(Duration::from_secs(4)).await;
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_path_that_is_not_there_is_made() -> Result<()> {
    let server = server().await?;
    let url = format!("{}/apps/locks", server.url());
    let locks = locks(&url).await?;
    let guard = locks.lock("x").acquire().await?;
    let operator = operator(&server.url()).await?;
    let nodes = operator.list_children("/apps/locks/distlock/x").await?;
    assert_eq!(nodes.len(), 1);
    // By whom it may be used as the rest.
    let (may, _) = operator.get_acl("/apps/locks").await?;
    let all = Acl::new(Permission::ALL, AuthId::anyone());
    assert_eq!(may, [all]);
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_url_that_is_none_says_what_one_is() -> Result<()> {
    for url in [
        "zookeeper:",
        "zookeeper://",
        "zookeeper://host:0",
        "zookeeper://host:port",
        "zookeeper://one,,two",
        "zookeeper://one,two:x",
        "zookeeper://one/path/",
        "zookeeper://one//path",
        "zookeeper://one/./path",
        "zookeeper://somebody@one",
        "zookeeper://somebody:%zz@one",
        "zookeeper://one?tick_time=often",
        "zookeeper://one?tick_time=0s",
        "zookeeper://one?tick_time=2s&max_session_timeout=4s",
        "zookeeper://one?color=blue",
        "zookeeper://one?tick_time",
        "redis://one",
    ] {
        let error = refused(url).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}: {error}");
    }
    Ok(())
}

#[test]
fn what_needs_a_runtime_says_so() {
    let connecting = ZooKeeperBackend::new(ZooKeeperOptions::new("127.0.0.1"));
    let mut connecting = Box::pin(connecting);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = connecting.as_mut().poll(&mut context) else {
        panic!("it needs none");
    };
    assert_told(&error, ErrorKind::Misconfigured, "runtime");
}
