//! PostgreSQL: this library beside the advisory locks of the same client, which have no TTL, no
//! token and no notice of their loss, on servers of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use distlock_core::{ErrorKind, Guard, Locks};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Postgres, Server};
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgAdvisoryLock, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Row};

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
    bare_changes: Vec<Duration>,
    changes: Vec<Duration>,
    /// Of the client that was granted the name least often, over that of the most often.
    shares: Vec<f64>,
}

pub(crate) async fn measured() -> Result<Value> {
    let costs = costs().await?;
    Ok(json!({
        "store": "postgres",
        "micros": {
            "bare pair": micros(&costs.bare),
            "pair": micros(&costs.one),
            "bare pair of 64 tasks over a pool of 16": micros(&costs.bare_many),
            "pair of 64 tasks": micros(&costs.many),
            "bare change of owner among 16": micros(&costs.bare_changes),
            "change of owner among 16": micros(&costs.changes),
        },
        // The better the greater, but for the first.
        "ratios": {
            "time of a pair / of a bare pair": ratio(&costs.one, &costs.bare),
            "rate of 64 tasks / of bare pairs": ratio(&costs.bare_many, &costs.many),
            "rate of changes of owner / of bare ones": ratio(&costs.bare_changes, &costs.changes),
            "least share / greatest": median(&costs.shares),
        },
        "statements of an idle waiter in a third of its TTL": statements_of_a_waiter().await?,
        "connections with 10,000 holds": connections_of_holds().await?,
        "refusal after 2,000 holds on a server as it comes": refusal().await?,
    }))
}

/// Of all workloads, which take turns.
async fn costs() -> Result<Costs> {
    let server = Server::started(Postgres::new().setting("max_connections = 200")).await?;
    let locks = locks(&server.url()).await?;
    let mut contenders = Vec::new();
    for _ in 0..CONTENDERS {
        contenders.push(self::locks(&server.url()).await?);
    }
    let size = u32::try_from(CONTENDERS)?;
    let options = PgPoolOptions::new().min_connections(size);
    let pool = options.max_connections(size).connect(&server.url()).await?;
    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        let bare = at_once([bare_pairs(pool.acquire().await?)]).await?;
        costs.bare.push(bare.each);
        costs.one.push(apart(&locks, 1).await?.each);
        costs.bare_many.push(bare_apart(&pool).await?.each);
        costs.many.push(apart(&locks, TASKS).await?.each);
        costs.bare_changes.push(bare_contended(&pool).await?.each);
        let Done { each, share } = contended(&contenders).await?;
        costs.changes.push(each);
        costs.shares.push(share);
    }
    Ok(costs)
}

async fn locks(url: &str) -> Result<Locks> {
    Ok(Locks::new(PostgresBackend::connect(url).await?)?)
}

/// A lock and an unlock, over one connection.
async fn bare_pairs(mut connection: PoolConnection<sqlx::Postgres>) -> Result<u32> {
    let mut count = 0;
    for number in round() {
        bare(&mut connection, "select pg_advisory_lock($1)").await?;
        bare(&mut connection, "select pg_advisory_unlock($1)").await?;
        count = number;
    }
    Ok(count)
}

async fn bare(connection: &mut PgConnection, query: &'static str) -> sqlx::Result<()> {
    let query = sqlx::query(query).bind(0x6261_7265_i64);
    query.execute(connection).await.map(drop)
}

/// By tasks on a name each, that share a pool.
async fn bare_apart(pool: &PgPool) -> Result<Done> {
    async fn pairs(pool: PgPool, lock: PgAdvisoryLock) -> Result<u32> {
        let mut count = 0;
        for number in round() {
            let guard = lock.acquire(pool.acquire().await?).await?;
            guard.release_now().await?;
            count = number;
        }
        Ok(count)
    }
    let lock = |task| PgAdvisoryLock::new(format!("pair/{task}"));
    at_once((0..TASKS).map(|task| pairs(pool.clone(), lock(task)))).await
}

/// By tasks on one name, that have a connection each.
async fn bare_contended(pool: &PgPool) -> Result<Done> {
    async fn pairs(mut connection: PoolConnection<sqlx::Postgres>) -> Result<u32> {
        let lock = PgAdvisoryLock::new("contended");
        let mut count = 0;
        for number in round() {
            connection = lock.acquire(connection).await?.release_now().await?;
            count = number;
        }
        Ok(count)
    }
    let mut connections = Vec::new();
    for _ in 0..CONTENDERS {
        connections.push(pool.acquire().await?);
    }
    at_once(connections.into_iter().map(pairs)).await
}

/// What a client sends that only waits for one name, by the server's count.
async fn statements_of_a_waiter() -> Result<f64> {
    const TTL: Duration = Duration::from_secs(2);
    const THIRDS: u32 = 18;
    let recipe = Postgres::new().setting("shared_preload_libraries = 'pg_stat_statements'");
    let server = Server::started(recipe).await?;
    server
        .sql("create extension pg_stat_statements; create role waiter superuser login")
        .await?;
    let (holder, waiter) = (
        locks(&server.url()).await?,
        locks(&server.url().replace("//postgres@", "//waiter@")).await?,
    );
    let held = holder.lock("waited for").ttl(TTL).acquire().await?;
    let waiting = tokio::spawn(waiter.lock("waited for").ttl(TTL).acquire());
    // Until it is idle.
    tokio::time::sleep(TTL).await;
    let before = statements(&server).await?;
    tokio::time::sleep(TTL / 3 * THIRDS).await;
    let sent = statements(&server).await? - before;
    held.release().await?;
    waiting.await??.release().await?;
    Ok(sent as f64 / f64::from(THIRDS))
}

async fn statements(server: &Server<Postgres>) -> Result<i64> {
    let rows = server
        .sql(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_statements \
             where userid = 'waiter'::regrole",
        )
        .await?;
    Ok(rows.first().context("no count")?.try_get(0)?)
}

/// How many connections a server has, which is tuned for it, while 10,000 locks are held.
async fn connections_of_holds() -> Result<i64> {
    let recipe = Postgres::new().setting("max_locks_per_transaction = 400");
    let server = Server::started(recipe).await?;
    let locks = locks(&server.url()).await?;
    let held = holds::acquired(&locks, 10_000).await?;
    let rows = server
        .sql(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' \
             and pid <> pg_backend_pid()",
        )
        .await?;
    released(&locks, held).await;
    Ok(rows.first().context("no count")?.try_get(0)?)
}

/// What a client is told that asks for more than a server takes that is not tuned for it.
async fn refusal() -> Result<String> {
    let server = Server::started(Postgres::new()).await?;
    let locks = locks(&server.url()).await?;
    let mut held = holds::acquired(&locks, 2_000).await?;
    let refused = loop {
        let lock = locks.lock(format!("more/{}", held.len()));
        match lock.try_acquire().await {
            Ok(guard) => held.extend(guard),
            Err(error) => break error,
        }
    };
    released(&locks, held).await;
    ensure!(refused.kind() == ErrorKind::Unavailable, "{refused}");
    Ok(refused.to_string())
}

async fn released(locks: &Locks, held: Vec<Guard>) {
    drop(held);
    locks.settle().await;
}
