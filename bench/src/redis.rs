//! Redis: this library beside the two bare commands of the same client, on a server of its own.

use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server};
use redis::aio::MultiplexedConnection;
use redis::{Client, Script};
use serde_json::{Value, json};

use crate::figures::{median, micros, ratio};
use crate::work::{Done, apart, at_once, contended, round};
use crate::{CONTENDERS, ROUNDS, TASKS, holds};

const COMPARE_AND_DELETE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// What a pair costs, or a change of owner, a round each.
#[derive(Default)]
struct Costs {
    bare: Vec<Duration>,
    one: Vec<Duration>,
    bare_many: Vec<Duration>,
    many: Vec<Duration>,
    changes: Vec<Duration>,
    /// Of the client that was granted the name least often, over that of the most often.
    shares: Vec<f64>,
}

/// All workloads, which take turns.
pub(crate) async fn measured() -> Result<Value> {
    let server = Server::started(Redis::new()).await?;
    let url = server.url();
    let locks = Locks::new(RedisBackend::connect(&url).await?)?;
    // First, while the process is small.
    let hold_bytes = holds::bytes_each(&locks, 10_000).await?;
    let client = Client::open(url.as_str())?;
    let connection = client.get_multiplexed_async_connection().await?;
    let mut contenders = Vec::new();
    for _ in 0..CONTENDERS {
        contenders.push(Locks::new(RedisBackend::connect(&url).await?)?);
    }
    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        costs.bare.push(bare_pairs(&connection, 1).await?.each);
        costs.one.push(apart(&locks, 1).await?.each);
        let bare_many = bare_pairs(&connection, TASKS).await?;
        costs.bare_many.push(bare_many.each);
        costs.many.push(apart(&locks, TASKS).await?.each);
        let Done { each, share } = contended(&contenders).await?;
        costs.changes.push(each);
        costs.shares.push(share);
    }
    drop((contenders, connection));
    let mut report = report(&costs);
    report["bytes of one of 10,000 holds"] = json!(hold_bytes);
    report["connections with 10,000 holds"] = json!(connections_of_holds(&locks, &server).await?);
    report["requests of a waiter in a third of its TTL"] =
        json!(requests_of_a_waiter(&locks, &server).await?);
    Ok(report)
}

/// Micro-seconds, and ratios that are the better the greater, but for the first.
fn report(costs: &Costs) -> Value {
    json!({
        "store": "redis",
        "micros": {
            "bare pair": micros(&costs.bare),
            "pair": micros(&costs.one),
            "bare pair of 64 tasks": micros(&costs.bare_many),
            "pair of 64 tasks": micros(&costs.many),
            "change of owner among 16": micros(&costs.changes),
        },
        "ratios": {
            "time of a pair / of a bare pair": ratio(&costs.one, &costs.bare),
            "rate of 64 tasks / of bare pairs": ratio(&costs.bare_many, &costs.many),
            "rate of changes of owner / of bare pairs": ratio(&costs.bare, &costs.changes),
            "least share / greatest": median(&costs.shares),
        },
    })
}

/// A `SET NX PX` and a compare-and-delete, by so many tasks on a name each.
async fn bare_pairs(connection: &MultiplexedConnection, tasks: usize) -> Result<Done> {
    at_once((0..tasks).map(|task| bare(connection.clone(), format!("bare/{task}")))).await
}

async fn bare(mut connection: MultiplexedConnection, name: String) -> Result<u32> {
    let release = Script::new(COMPARE_AND_DELETE);
    let id = "0123456789abcdef0123456789abcdef";
    let mut take = redis::cmd("SET");
    take.arg(&name).arg(id).arg("NX").arg("PX").arg(15_000);
    let mut count = 0;
    for number in round() {
        let () = take.query_async(&mut connection).await?;
        let () = release
            .key(&name)
            .arg(id)
            .invoke_async(&mut connection)
            .await?;
        count = number;
    }
    Ok(count)
}

/// How many connections the server has while 10,000 locks are held.
async fn connections_of_holds(locks: &Locks, server: &Server<Redis>) -> Result<usize> {
    let held = holds::acquired(locks, 10_000).await?;
    let clients: String = server.command(&["CLIENT", "LIST"]).await?;
    drop(held);
    locks.settle().await;
    // Without the one that asks.
    Ok(clients.lines().count() - 1)
}

/// How many requests the server gets from one that waits, in each third of its TTL.
async fn requests_of_a_waiter(locks: &Locks, server: &Server<Redis>) -> Result<f64> {
    const THIRD: Duration = Duration::from_secs(1);
    const THIRDS: u32 = 10;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    // Not renewed meanwhile.
    let held = locks.lock("waited for").ttl(DAY).acquire().await?;
    let waiting = tokio::spawn(locks.lock("waited for").ttl(3 * THIRD).acquire());
    while locks.inspect("waited for").await?.waiters.is_empty() {}
    let () = server.command(&["CONFIG", "RESETSTAT"]).await?;
    tokio::time::sleep(THIRD * THIRDS).await;
    let stats: String = server.command(&["INFO", "commandstats"]).await?;
    held.release().await?;
    waiting.await??.release().await?;
    let requests = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="))
        .and_then(|line| line.split(',').next())
        .map_or(Ok(0), str::parse::<u32>)?;
    Ok(f64::from(requests) / f64::from(THIRDS))
}
