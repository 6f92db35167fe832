//! A server that was given, in a process that has the variables set.

use std::process::Command;

use anyhow::Result;
use distlock_testbed::{Postgres, Redis, Role, Server, ZooKeeper};

/// Marks the process in which they are set.
const INSIDE: &str = "DISTLOCK_TESTBED_GIVEN";

#[tokio::test]
async fn is_used_and_cannot_be_broken() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return inside().await;
    }
    let redis = Server::started(Redis::new()).await?;
    let postgres = Server::started(Postgres::new()).await?;
    let zookeeper = Server::started(ZooKeeper::new()).await?;
    let inside = Command::new(std::env::current_exe()?)
        .args(["--exact", "given::is_used_and_cannot_be_broken"])
        .env(INSIDE, "")
        .env("DISTLOCK_TEST_REDIS_URL", redis.url())
        .env("DISTLOCK_TEST_POSTGRES_URL", postgres.url())
        .env("DISTLOCK_TEST_ZOOKEEPER_URL", zookeeper.url())
        .output()?;
    assert!(
        inside.status.success(),
        "{}",
        String::from_utf8_lossy(&inside.stdout)
    );
    let keys: Vec<String> = redis.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, ["from-inside"]);
    postgres.sql("select * from from_inside").await?;
    Ok(())
}

async fn inside() -> Result<()> {
    let redis = Server::given_or_started(Redis::new()).await?;
    assert_eq!(redis.url(), std::env::var("DISTLOCK_TEST_REDIS_URL")?);
    let () = redis.command(&["SET", "from-inside", "1"]).await?;
    let why = redis.given().unwrap();
    assert!(why.contains("DISTLOCK_TEST_REDIS_URL"), "{why}");
    for outcome in [
        redis.start().await,
        redis.stop().await,
        redis.kill().await,
        redis.pause().await,
        redis.resume().await,
        redis.restart().await,
        redis.restart_empty().await,
        redis.socket_url().map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().to_string(), why);
    }
    // The network in front of it can be.
    let proxy = redis.proxy().await?;
    assert!(
        redis
            .url_through(&proxy)
            .ends_with(&proxy.address().to_string())
    );
    proxy.cut().await?;

    let postgres = Server::given_or_started(Postgres::new()).await?;
    postgres.sql("create table from_inside ()").await?;
    assert!(
        postgres
            .given()
            .unwrap()
            .contains("DISTLOCK_TEST_POSTGRES_URL")
    );

    let zookeeper = Server::given_or_started(ZooKeeper::new()).await?;
    assert_eq!(zookeeper.role().await?, Role::Standalone);
    assert!(
        zookeeper
            .given()
            .unwrap()
            .contains("DISTLOCK_TEST_ZOOKEEPER_URL")
    );
    Ok(())
}

#[tokio::test]
async fn is_not_there_by_default() -> Result<()> {
    assert_eq!(Server::started(Redis::new()).await?.given(), None);
    Ok(())
}
