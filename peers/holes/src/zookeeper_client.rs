//! `zookeeper-client`: its recipe of a lock.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use distlock_testbed::{Proxy, Server, Way, ZooKeeper};
use tokio::time::{sleep, timeout};
use zookeeper_client::{Acls, Client, CreateMode, LockClient, LockPrefix};

use crate::hole::{Peer, Seen, hole};
use crate::ours::{self, A_LITTLE, SOON};
use crate::panics::panics_during;

pub(crate) const PEER: Peer = Peer {
    package: "zookeeper-client",
    version: "0.11.2",
    holes: &[
        hole!(
            a_dropped_lock_leaves_its_node,
            Promises,
            "`lock` is cancellation safe: it can be dropped without fear to dangle a lock"
        ),
        hole!(
            a_dropped_clone_frees_the_lock,
            IsSilent,
            "a lock with several guards, as `OwnedLockClient: Clone` allows, is held until the last"
        ),
        hole!(
            a_guard_that_is_dropped_off_the_runtime_stays,
            IsSilent,
            "a guard that is dropped is deleted in the background"
        ),
    ],
};

const FOLDER: &str = "/locks";

/// A session that outlasts all of this.
async fn session(address: &str) -> Result<Client> {
    let connector = Client::connector().with_session_timeout(Duration::from_secs(30));
    Ok(connector.connect(address).await?)
}

async fn prepared(server: &Server<ZooKeeper>) -> Result<(Client, Client)> {
    let address = server.address().to_string();
    let (one, other) = (session(&address).await?, session(&address).await?);
    let folder = CreateMode::Persistent.with_acls(Acls::anyone_all());
    one.create(FOLDER, b"", &folder).await?;
    Ok((one, other))
}

async fn lock(client: &Client) -> Result<LockClient<'_>> {
    let prefix = LockPrefix::new_curator(FOLDER, "lock-")?;
    Ok(client.lock(prefix, b"", Acls::anyone_all()).await?)
}

/// With the prefix of Curator alone, whose node is to be deleted by its name without its folder.
async fn a_dropped_lock_leaves_its_node() -> Result<Seen> {
    let server = Server::started(ZooKeeper::new()).await?;
    let (other, _) = prepared(&server).await?;
    let proxy = server.proxy().await?;
    let through = session(&proxy.address().to_string()).await?;
    let prefix = LockPrefix::new_shared("/locks/n-")?;
    let shared = through.lock(prefix, b"", Acls::anyone_all());
    drop_unanswered(&proxy, shared).await?;
    let left_shared = other.list_children(FOLDER).await?.len();
    drop_unanswered(&proxy, lock(&through)).await?;
    let left = other.list_children(FOLDER).await?.len();
    let next = timeout(SOON, lock(&other)).await;
    let seen = Seen::of_peer(
        left > left_shared && next.is_err(),
        format!(
            "nodes that stay: {left}, for which the next waits still after {SOON:?} (with \
             `new_shared`: {left_shared})"
        ),
    );
    Ok(seen.beside_ours(ours::after_a_dropped_acquire(&server).await?))
}

/// Lets it ask, and drops it before the answer comes.
async fn drop_unanswered(proxy: &Proxy, call: impl Future) -> Result<()> {
    proxy.stall(Way::ToClient);
    let dropped = timeout(A_LITTLE, call).await;
    ensure!(dropped.is_err(), "it was answered");
    proxy.heal().await?;
    sleep(A_LITTLE).await;
    Ok(())
}

async fn a_dropped_clone_frees_the_lock() -> Result<Seen> {
    let server = Server::started(ZooKeeper::new()).await?;
    let (one, other) = prepared(&server).await?;
    let guard = lock(&one).await?.into_owned();
    drop(guard.clone());
    let next = timeout(SOON, lock(&other)).await;
    let is_granted = next.is_ok_and(|next| next.is_ok());
    drop(guard);
    Ok(Seen::of_peer(
        is_granted,
        "a second is granted while a guard of the first lives",
    ))
}

async fn a_guard_that_is_dropped_off_the_runtime_stays() -> Result<Seen> {
    let server = Server::started(ZooKeeper::new()).await?;
    let (one, other) = prepared(&server).await?;
    let guard = lock(&one).await?.into_owned();
    let drops = async { thread::spawn(move || drop(guard)).join() };
    let (_, panics) = panics_during(drops).await;
    let next = timeout(SOON, lock(&other)).await;
    let seen = Seen::of_peer(
        next.is_err(),
        format!("panic: {panics:?}; the next waits still after {SOON:?}"),
    );
    Ok(seen.beside_ours(ours::after_a_dropped_guard(&server).await?))
}
