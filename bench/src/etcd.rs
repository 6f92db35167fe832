//! etcd: this library beside the two bare transactions of the same client, and beside the lock of
//! the server itself, on a server of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use distlock_core::Locks;
use distlock_etcd::EtcdBackend;
use distlock_testbed::{Etcd, Server};
use etcd_client::{Client, Compare, CompareOp, LockOptions, PutOptions, Txn, TxnOp};
use serde_json::{Value, json};

use crate::figures::{median, micros, ratio};
use crate::work::{Done, apart, at_once, contended, round};
use crate::{CONTENDERS, ROUNDS, TASKS, holds};

/// What a pair costs, or a change of owner, a round each.
#[derive(Default)]
struct Costs {
    bare: Vec<Duration>,
    one: Vec<Duration>,
    bare_many: Vec<Duration>,
    many: Vec<Duration>,
    server_changes: Vec<Duration>,
    changes: Vec<Duration>,
    /// Of the client that was granted the name least often, over that of the most often.
    shares: Vec<f64>,
}

/// All workloads, which take turns.
pub(crate) async fn measured() -> Result<Value> {
    let server = Server::started(Etcd::new()).await?;
    let locks = locks(&server).await?;
    // First, while the process is small.
    let hold_bytes = holds::bytes_each(&locks, 10_000).await?;
    let mut client = server.client().await?;
    let lease = client.lease_grant(600, None).await?.id();
    let mut contenders = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..CONTENDERS {
        contenders.push(self::locks(&server).await?);
        clients.push(server.client().await?);
    }
    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        costs.bare.push(bare_pairs(&client, lease, 1).await?.each);
        costs.one.push(apart(&locks, 1).await?.each);
        let bare_many = bare_pairs(&client, lease, TASKS).await?;
        costs.bare_many.push(bare_many.each);
        costs.many.push(apart(&locks, TASKS).await?.each);
        let by_server = at_once(clients.iter().cloned().map(by_server)).await?;
        costs.server_changes.push(by_server.each);
        let Done { each, share } = contended(&contenders).await?;
        costs.changes.push(each);
        costs.shares.push(share);
    }
    drop((contenders, clients));
    let mut report = report(&costs);
    report["bytes of one of 10,000 holds"] = json!(hold_bytes);
    report["leases with 10,000 holds"] = json!(leases_of_holds().await?);
    Ok(report)
}

async fn locks(server: &Server<Etcd>) -> Result<Locks> {
    Ok(Locks::new(EtcdBackend::connect(&server.url()).await?)?)
}

/// Micro-seconds, and ratios that are the better the greater, but for the first.
fn report(costs: &Costs) -> Value {
    json!({
        "store": "etcd",
        "micros": {
            "bare pair": micros(&costs.bare),
            "pair": micros(&costs.one),
            "bare pair of 64 tasks": micros(&costs.bare_many),
            "pair of 64 tasks": micros(&costs.many),
            "change of owner by the server's lock among 16": micros(&costs.server_changes),
            "change of owner among 16": micros(&costs.changes),
        },
        "ratios": {
            "time of a pair / of a bare pair": ratio(&costs.one, &costs.bare),
            "rate of 64 tasks / of bare pairs": ratio(&costs.bare_many, &costs.many),
            "rate of changes of owner / of those by the server":
                ratio(&costs.server_changes, &costs.changes),
            "least share / greatest": median(&costs.shares),
        },
    })
}

/// A put if there is none, and a delete, by so many tasks on a name each.
async fn bare_pairs(client: &Client, lease: i64, tasks: usize) -> Result<Done> {
    let tasks = 0..tasks;
    at_once(tasks.map(|task| bare(client.clone(), lease, format!("bare/{task}")))).await
}

async fn bare(mut client: Client, lease: i64, name: String) -> Result<u32> {
    let mut count = 0;
    for number in round() {
        let under = PutOptions::new().with_lease(lease);
        let take = Txn::new()
            .when([Compare::create_revision(&*name, CompareOp::Equal, 0)])
            .and_then([TxnOp::put(&*name, "me", Some(under))]);
        ensure!(client.txn(take).await?.succeeded(), "it is free");
        client.delete(&*name, None).await?;
        count = number;
    }
    Ok(count)
}

/// By the lock that the server has itself.
async fn by_server(mut client: Client) -> Result<u32> {
    let lease = client.lease_grant(600, None).await?.id();
    let mut count = 0;
    for number in round() {
        let options = LockOptions::new().with_lease(lease);
        let held = client.lock("by-server", Some(options)).await?;
        client.unlock(held.key()).await?;
        count = number;
    }
    client.lease_revoke(lease).await.context("its lease")?;
    Ok(count)
}

/// How many leases the server has for 10,000 locks that are held.
async fn leases_of_holds() -> Result<usize> {
    let server = Server::started(Etcd::new()).await?;
    let backend = EtcdBackend::connect(&server.url()).await?;
    // A slow machine takes longer for so many than a short TTL.
    let locks = Locks::builder()
        .ttl(Duration::from_secs(120))
        .build(backend)?;
    let held = holds::acquired(&locks, 10_000).await?;
    let leases = server.client().await?.leases().await?.leases().len();
    drop(held);
    locks.settle().await;
    Ok(leases)
}
