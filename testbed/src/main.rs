//! `distlock-testbed up`: one server of each kind, until Ctrl-C.

use anyhow::{Result, bail};
use distlock_testbed::{Etcd, PgBouncer, PoolMode, Postgres, Redis, Server, ZooKeeper};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments != ["up"] {
        bail!("usage: distlock-testbed up");
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = up() => outcome?,
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    println!("stopped");
    Ok(())
}

/// Never returns once all are up: being dropped stops them.
async fn up() -> Result<()> {
    // The suite has many clients at a time.
    let roomy = Postgres::new().setting("max_connections = 1000");
    let (redis, postgres, etcd, zookeeper) = tokio::try_join!(
        Server::started(Redis::new()),
        Server::started(roomy),
        Server::started(Etcd::new()),
        Server::started(ZooKeeper::new()),
    )?;
    let bouncer = PgBouncer::new(postgres.address(), PoolMode::Transaction);
    let bouncer = Server::started(bouncer).await?;
    println!("DISTLOCK_TEST_REDIS_URL={}", redis.url());
    println!("DISTLOCK_TEST_POSTGRES_URL={}", postgres.url());
    println!("DISTLOCK_TEST_ETCD_URL={}", etcd.url());
    println!("DISTLOCK_TEST_ZOOKEEPER_URL={}", zookeeper.url());
    println!("PgBouncer in transaction mode: {}", bouncer.url());
    println!("Ctrl-C stops them");
    std::future::pending().await
}
