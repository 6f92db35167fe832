//! What is particular to ZooKeeper, on real servers that are broken on purpose.

mod contended;
mod ensemble;
mod faults;
mod network;
mod nodes;
mod quiet;
mod refusals;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Guard, LockState, Locks};
use distlock_testbed::{Server, ZooKeeper};
use distlock_zookeeper::ZooKeeperBackend;
use distlock_zookeeper::zookeeper_client::Client;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The TTL of locks that are to end while a test runs, or to survive what is done to them.
const TTL: Duration = Duration::from_millis(3200);
/// The TTL of those that are not to end.
const LONG: Duration = Duration::from_millis(25_600);
/// What does not wait for a heartbeat under the long TTL is done before this.
const AT_ONCE: Duration = Duration::from_secs(5);
/// What does not wait for the long TTL is done long before this.
const SOON: Duration = Duration::from_secs(15);

async fn server() -> Result<Server<ZooKeeper>> {
    Server::started(ZooKeeper::new()).await
}

/// The URL, with what clients have to know of the servers of the testbed.
fn told(url: &str) -> String {
    let tick = ZooKeeper::TICK;
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}tick_time={tick}ms&max_session_timeout=1m")
}

async fn backend(url: &str) -> Result<ZooKeeperBackend> {
    Ok(ZooKeeperBackend::connect(&told(url)).await?)
}

/// A client of the servers at this URL, as foreign to all others as one of another process.
async fn locks(url: &str) -> Result<Locks> {
    Ok(Locks::builder().ttl(TTL).build(backend(url).await?)?)
}

fn acquired(locks: &Locks, name: &str, ttl: Duration) -> JoinHandle<distlock_core::Result<Guard>> {
    tokio::spawn(locks.lock(name).ttl(ttl).acquire())
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

/// An operator: another client, with a look at the nodes themselves.
async fn operator(url: &str) -> Result<Client> {
    let servers = url.trim_start_matches("zookeeper://");
    let connector = Client::connector().with_session_timeout(Duration::from_secs(30));
    Ok(timeout(SOON, connector.connect(servers)).await??)
}

/// The nodes in the folder of this name, in the default namespace.
async fn nodes(operator: &Client, name: &str) -> Result<Vec<String>> {
    let folder = format!("/distlock/{name}");
    let mut nodes = operator.list_children(&folder).await.unwrap_or_default();
    nodes.sort_by_key(|node| node.rsplit('-').next().map(str::to_owned));
    Ok(nodes
        .iter()
        .map(|node| format!("{folder}/{node}"))
        .collect())
}

/// Waits until the folder of this name has so many nodes.
async fn nodes_become(operator: &Client, name: &str, count: usize) -> Result<()> {
    let change = async {
        while nodes(operator, name).await?.len() != count {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    let change = timeout(SOON, change).await;
    change.with_context(|| format!("{name}: never {count} nodes"))?
}
