//! Redis: this library beside the two bare commands of the same client, on a server of its own.

use std::time::Duration;

use distlock_core::{Locks, Result};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server};
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult, Script};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{ROUND, ROUNDS, TASKS, each, median, pairs};

const CONTENDERS: usize = 16;
const HOLDS: usize = 10_000;

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
pub(crate) async fn measured() -> anyhow::Result<Value> {
    let server = Server::started(Redis::new()).await?;
    let url = server.url();
    let locks = Locks::new(RedisBackend::connect(&url).await?)?;
    let client = Client::open(url.as_str())?;
    let connection = client.get_multiplexed_async_connection().await?;
    let mut contenders = Vec::new();
    for _ in 0..CONTENDERS {
        contenders.push(Locks::new(RedisBackend::connect(&url).await?)?);
    }
    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        costs.bare.push(bare_pairs(&connection, 1).await?);
        costs.one.push(pairs::one_task(&locks, ROUND).await?);
        costs.bare_many.push(bare_pairs(&connection, TASKS).await?);
        costs
            .many
            .push(pairs::many_tasks(&locks, TASKS, ROUND).await?);
        let (change, share) = contended(&contenders).await?;
        costs.changes.push(change);
        costs.shares.push(share);
    }
    drop((contenders, connection));
    Ok(report(&costs, connections_of_holds(&locks, &server).await?))
}

/// Micro-seconds, and ratios that are the better the greater, but for the first.
fn report(costs: &Costs, connections: usize) -> Value {
    let micros = |times: &[Duration]| median(times).as_secs_f64() * 1e6;
    let ratio = |a: &[Duration], b: &[Duration]| micros(a) / micros(b);
    let mut shares = costs.shares.clone();
    shares.sort_by(f64::total_cmp);
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
            "least share / greatest": shares.get(shares.len() / 2),
        },
        "connections with 10,000 holds": connections,
    })
}

/// The time of a `SET NX PX` and a compare-and-delete, by so many tasks on a name each.
async fn bare_pairs(connection: &MultiplexedConnection, tasks: usize) -> anyhow::Result<Duration> {
    let mut working = JoinSet::new();
    let began = Instant::now();
    for task in 0..tasks {
        working.spawn(bare(connection.clone(), format!("bare/{task}")));
    }
    let counts = working.join_all().await.into_iter();
    let counts = counts.collect::<RedisResult<Vec<_>>>()?;
    Ok(each(began, counts.into_iter().sum())?)
}

async fn bare(mut connection: MultiplexedConnection, name: String) -> RedisResult<u32> {
    let release = Script::new(COMPARE_AND_DELETE);
    let id = "0123456789abcdef0123456789abcdef";
    let mut take = redis::cmd("SET");
    take.arg(&name).arg(id).arg("NX").arg("PX").arg(15_000);
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < ROUND {
        let () = take.query_async(&mut connection).await?;
        let () = release
            .key(&name)
            .arg(id)
            .invoke_async(&mut connection)
            .await?;
        count += 1;
    }
    Ok(count)
}

/// The time from one owner to the next, and how evenly they took turns.
async fn contended(contenders: &[Locks]) -> Result<(Duration, f64)> {
    let mut working = JoinSet::new();
    let began = Instant::now();
    for locks in contenders {
        let lock = locks.lock("contended");
        working.spawn(async move {
            let mut count = 0;
            while began.elapsed() < ROUND {
                lock.acquire().await?.release().await?;
                count += 1;
            }
            Result::Ok(count)
        });
    }
    let counts = working.join_all().await.into_iter();
    let counts = counts.collect::<Result<Vec<u32>>>()?;
    let (least, most) = (counts.iter().min(), counts.iter().max());
    let share = least.zip(most).map_or(0.0, |(least, most)| {
        f64::from(*least) / f64::from((*most).max(1))
    });
    Ok((each(began, counts.into_iter().sum())?, share))
}

/// How many connections the server has while that many locks are held.
async fn connections_of_holds(locks: &Locks, server: &Server<Redis>) -> anyhow::Result<usize> {
    let mut acquiring = JoinSet::new();
    for number in 0..HOLDS {
        acquiring.spawn(locks.lock(format!("hold/{number}")).acquire());
    }
    let held = acquiring.join_all().await.into_iter();
    let held = held.collect::<Result<Vec<_>>>()?;
    let clients: String = server.command(&["CLIENT", "LIST"]).await?;
    drop(held);
    locks.settle().await;
    // Without the one that asks.
    Ok(clients.lines().count() - 1)
}
