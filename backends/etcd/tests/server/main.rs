//! What is particular to etcd, on real servers that are broken on purpose.

mod cluster;
mod crowd;
mod faults;
mod known;
mod leaders;
mod network;
mod observer;
mod operators;
mod refusals;
mod runtimes;
#[cfg(feature = "tls")]
mod tls;
mod together;

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Guard, LockState, Locks};
use distlock_etcd::EtcdBackend;
use distlock_testbed::{Etcd, EtcdCluster, Server};
use etcd_client::{Client, GetOptions};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The TTL of locks that are to survive what is done to them, or not.
const TTL: Duration = Duration::from_secs(4);
/// What does not wait for a TTL is done long before this.
const SOON: Duration = Duration::from_secs(20);
/// The TTL of those who are to be told, rather than to look by themselves.
const LONG: Duration = Duration::from_secs(128);

/// How clients reach this member first, and then the others.
fn url_from(cluster: &EtcdCluster, first: usize) -> String {
    let member = |number: usize| &cluster.members[number % 3];
    let others = [member(first + 1).address(), member(first + 2).address()];
    let others = others.map(|other| other.to_string()).join(",");
    format!("{}?nodes={others}", member(first).url())
}

async fn server() -> Result<Server<Etcd>> {
    Server::started(Etcd::new()).await
}

/// A client of the server at this URL, as foreign to all others as one of another process.
async fn locks(url: &str) -> Result<Locks> {
    locks_for(TTL, url).await
}

async fn locks_for(ttl: Duration, url: &str) -> Result<Locks> {
    let backend = EtcdBackend::connect(url).await?;
    Ok(Locks::builder().ttl(ttl).build(backend)?)
}

fn acquired(locks: &Locks, name: &str) -> JoinHandle<distlock_core::Result<Guard>> {
    tokio::spawn(locks.lock(name).acquire())
}

/// Waits until so many stand in line at the server, which may be too busy to tell at times.
async fn waiting(locks: &Locks, name: &str, count: usize) -> Result<()> {
    let line = async {
        let line_is = |line: LockState| line.waiters.len() == count;
        while !locks.inspect(name).await.is_ok_and(line_is) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, line).await.context("a line of that length")
}

/// The keys of a name, and the revisions that made them, oldest first.
async fn keys(client: &mut Client, name: &str) -> Result<Vec<(String, i64)>> {
    let prefix = format!("distlock/{name}/");
    let found = client
        .get(prefix, Some(GetOptions::new().with_prefix()))
        .await?;
    let found = found.kvs().iter();
    let mut keys: Vec<_> = found
        .map(|found| Ok((found.key_str()?.to_owned(), found.create_revision())))
        .collect::<Result<_>>()?;
    keys.sort_by_key(|(_, revision)| *revision);
    Ok(keys)
}

/// Waits until so many keys of a name are there.
async fn keys_become(client: &mut Client, name: &str, count: usize) -> Result<()> {
    let change = async {
        while keys(client, name).await?.len() != count {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let change = timeout(SOON, change).await;
    change.with_context(|| format!("{count} keys of {name}"))?
}
