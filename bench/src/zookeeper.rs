//! ZooKeeper: this library beside the two bare requests of the same client, and beside that
//! client's own lock, on a server of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{Guard, Locks};
use distlock_testbed::{Server, ZooKeeper};
use distlock_zookeeper::ZooKeeperBackend;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use zookeeper_client::{Acls, Client, CreateMode, LockPrefix};

use crate::figures::{median, micros, ratio};
use crate::work::{Done, apart, at_once, contended, round};
use crate::{CONTENDERS, ROUNDS, TASKS, holds};

/// What a pair costs, or a change of owner, a round each.
#[derive(Default)]
struct Costs {
    bare: Vec<Duration>,
    in_line: Vec<Duration>,
    in_line_many: Vec<Duration>,
    one: Vec<Duration>,
    bare_many: Vec<Duration>,
    many: Vec<Duration>,
    client_changes: Vec<Duration>,
    changes: Vec<Duration>,
    /// Of the client that was granted the name least often, over that of the most often.
    shares: Vec<f64>,
}

/// All workloads, which take turns.
pub(crate) async fn measured() -> Result<Value> {
    let server = Server::started(ZooKeeper::new()).await?;
    let locks = locks(&server).await?;
    // First, while the process is small.
    let hold_bytes = holds::bytes_each(&locks, 10_000).await?;
    let client = client(&server).await?;
    let mut contenders = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..CONTENDERS {
        contenders.push(self::locks(&server).await?);
        clients.push(self::client(&server).await?);
    }
    warm(&client, &locks).await?;
    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        costs.bare.push(bare_pairs(&client, 1).await?.each);
        costs.in_line.push(in_line_pairs(&client, 1).await?.each);
        costs.one.push(apart(&locks, 1).await?.each);
        costs.bare_many.push(bare_pairs(&client, TASKS).await?.each);
        let in_line_many = in_line_pairs(&client, TASKS).await?;
        costs.in_line_many.push(in_line_many.each);
        costs.many.push(apart(&locks, TASKS).await?.each);
        let by_client = at_once(clients.iter().cloned().map(by_client)).await?;
        costs.client_changes.push(by_client.each);
        let Done { each, share } = contended(&contenders).await?;
        costs.changes.push(each);
        costs.shares.push(share);
    }
    drop((contenders, clients));
    let mut report = report(&costs);
    report["bytes of one of 10,000 holds"] = json!(hold_bytes);
    report["with 10,000 holds"] = with_holds().await?;
    report["requests of a waiter in a third of its TTL"] = json!(requests_of_a_waiter().await?);
    Ok(report)
}

async fn locks(server: &Server<ZooKeeper>) -> Result<Locks> {
    Ok(Locks::new(backend(server).await?)?)
}

async fn backend(server: &Server<ZooKeeper>) -> Result<ZooKeeperBackend> {
    let (url, tick) = (server.url(), ZooKeeper::TICK);
    let url = format!("{url}?tick_time={tick}ms&max_session_timeout=1m");
    Ok(ZooKeeperBackend::connect(&url).await?)
}

async fn client(server: &Server<ZooKeeper>) -> Result<Client> {
    Ok(Client::connect(&server.address().to_string()).await?)
}

/// Of the server's Java, what runs often is compiled late.
async fn warm(client: &Client, locks: &Locks) -> Result<()> {
    const WARM: Duration = Duration::from_secs(8);
    let began = Instant::now();
    while began.elapsed() < WARM {
        bare_pairs(client, TASKS).await?;
        apart(locks, TASKS).await?;
    }
    Ok(())
}

/// Micro-seconds, and ratios that are the better the greater, but for the first.
fn report(costs: &Costs) -> Value {
    json!({
        "store": "zookeeper",
        "micros": {
            "bare pair": micros(&costs.bare),
            "bare pair in line": micros(&costs.in_line),
            "pair": micros(&costs.one),
            "bare pair of 64 tasks": micros(&costs.bare_many),
            "bare pair in line of 64 tasks": micros(&costs.in_line_many),
            "pair of 64 tasks": micros(&costs.many),
            "change of owner by the client's lock among 16": micros(&costs.client_changes),
            "change of owner among 16": micros(&costs.changes),
        },
        "ratios": {
            "time of a pair / of a bare pair": ratio(&costs.one, &costs.bare),
            "time of a pair / of a bare pair in line": ratio(&costs.one, &costs.in_line),
            "rate of 64 tasks / of bare pairs": ratio(&costs.bare_many, &costs.many),
            "rate of 64 tasks / of bare pairs in line": ratio(&costs.in_line_many, &costs.many),
            "rate of changes of owner / of those by the client":
                ratio(&costs.client_changes, &costs.changes),
            "least share / greatest": median(&costs.shares),
        },
    })
}

/// A creation and a deletion, by so many tasks on a name each.
async fn bare_pairs(client: &Client, tasks: usize) -> Result<Done> {
    at_once((0..tasks).map(|task| bare(client.clone(), format!("/bare-{task}")))).await
}

async fn bare(client: Client, path: String) -> Result<u32> {
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let mut count = 0;
    for number in round() {
        client.create(&path, b"me", &ephemeral).await?;
        client.delete(&path, None).await?;
        count = number;
    }
    Ok(count)
}

/// What a lock takes that serves in order: a numbered creation, with which a list goes out, and a
/// deletion.
async fn in_line_pairs(client: &Client, tasks: usize) -> Result<Done> {
    at_once((0..tasks).map(|task| in_line(client.clone(), format!("/in-line-{task}")))).await
}

async fn in_line(client: Client, path: String) -> Result<u32> {
    let folder = CreateMode::Container.with_acls(Acls::anyone_all());
    client.mkdir(&path, &folder).await?;
    let ephemeral = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let prefix = format!("{path}/exclusive-0123456789abcdef0123456789abcdef-");
    let mut count = 0;
    for number in round() {
        let creating = client.create(&prefix, b"me", &ephemeral);
        let listing = client.list_children(&path);
        let (_, sequence) = creating.await?;
        listing.await?;
        client.delete(&format!("{prefix}{sequence}"), None).await?;
        count = number;
    }
    Ok(count)
}

/// By the lock that the client has itself.
async fn by_client(client: Client) -> Result<u32> {
    let folder = CreateMode::Container.with_acls(Acls::anyone_all());
    client.mkdir("/by-client", &folder).await?;
    let mut count = 0;
    for number in round() {
        let prefix = LockPrefix::new_curator("/by-client", "lock-")?;
        drop(client.lock(prefix, b"me", Acls::anyone_all()).await?);
        count = number;
    }
    Ok(count)
}

/// How many connections the server has, and sessions with nodes, while 10,000 locks are held.
async fn with_holds() -> Result<Value> {
    let server = Server::started(ZooKeeper::new()).await?;
    let locks = locks(&server).await?;
    // What is asked for at once while there is no session may open several.
    locks.lock("first").acquire().await?.release().await?;
    let held = holds::acquired(&locks, 10_000).await?;
    let connections = server.ask("cons").await?;
    // That which asks has none.
    let connections = connections.lines().filter(|line| line.contains("sid="));
    let connections = connections.count();
    let sessions = server.ask("dump").await?;
    let sessions = sessions.split_once("Sessions with Ephemerals (");
    let (_, sessions) = sessions.context("no count")?;
    let (sessions, _) = sessions.split_once(')').context("no count")?;
    let are_held = held.iter().all(Guard::is_held);
    drop(held);
    locks.settle().await;
    Ok(json!({
        "connections": connections,
        "sessions": sessions.parse::<usize>()?,
        "all are held": are_held,
    }))
}

/// What a client sends more for each name that it only waits for.
async fn requests_of_a_waiter() -> Result<f64> {
    const TTL: Duration = Duration::from_millis(3200);
    const WAITERS: u32 = 32;
    const THIRDS: u32 = 12;
    let server = Server::started(ZooKeeper::new()).await?;
    let locks = Locks::builder().ttl(TTL);
    let holder = locks.clone().build(backend(&server).await?)?;
    let waiter = locks.build(backend(&server).await?)?;
    let names: Vec<_> = (0..=WAITERS).map(|number| number.to_string()).collect();
    let mut held = Vec::new();
    let mut waiting = Vec::new();
    let mut requests = Vec::new();
    for name in &names {
        held.push(holder.lock(name).acquire().await?);
    }
    for names in [&names[..1], &names[1..]] {
        waiting.extend(
            names
                .iter()
                .map(|name| tokio::spawn(waiter.lock(name).acquire())),
        );
        // Until they are idle.
        sleep(TTL).await;
        let before = server.received().await?;
        sleep(TTL / 3 * THIRDS).await;
        requests.push(server.received().await? - before);
    }
    drop(held);
    for waiting in waiting {
        waiting.await??.release().await?;
    }
    Ok((requests[1] as f64 - requests[0] as f64) / f64::from(WAITERS * THIRDS))
}
