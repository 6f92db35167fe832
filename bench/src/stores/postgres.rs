//! PostgreSQL: this library beside the advisory locks of the same client, which have no TTL, no
//! token and no notice of their loss.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use distlock::{ErrorKind, Guard};
use distlock_load::{Kind, Locker, Lockers, Mode, Names, Seat, Workload, async_trait};
use distlock_testbed::{Postgres, Server};
use sqlx::Row;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard, PgPool, PgPoolOptions};
use tokio::task::JoinSet;

use super::{AnyServer, Arena};
use crate::contestant::{Contestant, here};
use crate::distlock::Place;
use crate::extras::Extras;
use crate::options::Effort;
use crate::plan::{CONTENDED, ONE_TASK, TASKS_64};
use crate::ratio::{BARE, DISTLOCK, Ratio};

const LOCK: &str = "sqlx 0.9, a connection each";
const LOCK_OF_POOL: &str = "sqlx 0.9, a pool of 16";

type Connection = PoolConnection<sqlx::Postgres>;

pub(crate) struct OfPostgres(Server<Postgres>);

/// One that lets in so many clients, and has room for so many locks.
pub(crate) async fn started() -> Result<OfPostgres> {
    let recipe = Postgres::new().setting("max_connections = 1000");
    let recipe = recipe.setting("max_locks_per_transaction = 400");
    Ok(OfPostgres(Server::started(recipe).await?))
}

#[async_trait]
impl Arena for OfPostgres {
    fn place(&self) -> Place {
        Place::Url(self.0.url())
    }

    fn server(&self) -> Option<&dyn AnyServer> {
        Some(&self.0)
    }

    fn url_for_peers(&self) -> Option<String> {
        Some(self.0.url())
    }

    fn most_in_line(&self) -> usize {
        // At each change of owner the server has work with all who wait.
        100
    }

    async fn bare(&self) -> Result<Vec<Box<dyn Contestant>>> {
        Ok(vec![here(BARE, Bare(self.pool(64).await?))])
    }

    async fn others(&self) -> Result<Vec<Box<dyn Contestant>>> {
        Ok(vec![
            here(LOCK, OnConnections(self.pool(64).await?)),
            here(LOCK_OF_POOL, OverPool(self.pool(16).await?)),
        ])
    }

    fn ratios(&self) -> Vec<Ratio> {
        vec![
            Ratio::times(
                "time of a pair / of a bare pair",
                (ONE_TASK, DISTLOCK),
                (ONE_TASK, BARE),
            ),
            Ratio::rates(
                "rate of 64 tasks / of bare pairs",
                (TASKS_64, DISTLOCK),
                (TASKS_64, LOCK_OF_POOL),
            ),
            Ratio::rates(
                "rate of changes of owner / of bare ones",
                (CONTENDED, DISTLOCK),
                (CONTENDED, LOCK),
            ),
            Ratio::SHARE,
        ]
    }

    async fn work(&self) -> Result<Option<(&'static str, u64)>> {
        let transactions =
            self.count("select sum(xact_commit + xact_rollback)::bigint from pg_stat_database");
        Ok(Some(("transactions", transactions.await?)))
    }

    async fn scarce(&self) -> Result<Vec<(&'static str, u64)>> {
        let connections = self.count(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' \
             and application_name like 'distlock%' and pid <> pg_backend_pid()",
        );
        Ok(vec![("connections", connections.await?)])
    }

    async fn revoke(&self) -> Result<Option<&'static str>> {
        self.count(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where application_name like 'distlock%'",
        )
        .await?;
        Ok(Some("all of its connections are ended"))
    }

    async fn more(&self, effort: Effort, extras: &mut Extras) -> Result<()> {
        const OF_WAITER: &str = "statements of an idle waiter in a third of its TTL";
        const REFUSAL: &str = "refusal after 2,000 holds on a server as it comes";
        if effort.quick {
            for what in [OF_WAITER, REFUSAL] {
                extras.leave_out(what, "takes longer than a quick run has");
            }
        } else {
            extras.add(OF_WAITER, statements_of_a_waiter().await?);
            extras.add(REFUSAL, refusal().await?);
        }
        Ok(())
    }
}

impl OfPostgres {
    async fn pool(&self, connections: u32) -> Result<PgPool> {
        let options = PgPoolOptions::new().max_connections(connections);
        Ok(options.connect(&self.0.url()).await?)
    }

    async fn count(&self, query: &str) -> Result<u64> {
        count(&self.0, query).await
    }
}

async fn count(server: &Server<Postgres>, query: &str) -> Result<u64> {
    let rows = server.sql(query).await?;
    let count: i64 = rows.first().context("no count")?.try_get(0)?;
    Ok(u64::try_from(count)?)
}

/// A lock and an unlock, over connections that have a task each.
struct Bare(PgPool);

#[async_trait]
impl Lockers for Bare {
    fn can(&self, workload: &Workload) -> bool {
        workload.tasks == workload.clients && !matches!(workload.kind, Kind::Semaphore(_))
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let mut hasher = DefaultHasher::new();
        ("bare", seat.name).hash(&mut hasher);
        Ok(Box::new(Key {
            connection: self.0.acquire().await?,
            number: hasher.finish().cast_signed(),
            mode: Mode::Exclusive,
        }))
    }
}

struct Key {
    connection: Connection,
    number: i64,
    /// In which it is held.
    mode: Mode,
}

#[async_trait]
impl Locker for Key {
    async fn acquire(&mut self, mode: Mode) -> Result<()> {
        self.mode = mode;
        self.ask(match mode {
            Mode::Shared => "select pg_advisory_lock_shared($1)",
            _ => "select pg_advisory_lock($1)",
        })
        .await
    }

    async fn release(&mut self) -> Result<()> {
        self.ask(match self.mode {
            Mode::Shared => "select pg_advisory_unlock_shared($1)",
            _ => "select pg_advisory_unlock($1)",
        })
        .await
    }
}

impl Key {
    async fn ask(&mut self, query: &'static str) -> Result<()> {
        let query = sqlx::query(query).bind(self.number);
        query.execute(&mut *self.connection).await?;
        Ok(())
    }
}

/// By tasks that keep a connection each.
struct OnConnections(PgPool);

#[async_trait]
impl Lockers for OnConnections {
    fn can(&self, workload: &Workload) -> bool {
        workload.tasks == workload.clients && workload.kind == Kind::Mutex
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        Ok(Box::new(OnConnection {
            lock: PgAdvisoryLock::new(format!("connection/{}", seat.name)),
            connection: Some(self.0.acquire().await?),
            held: None,
        }))
    }
}

struct OnConnection {
    lock: PgAdvisoryLock,
    /// While it holds nothing.
    connection: Option<Connection>,
    held: Option<PgAdvisoryLockGuard<Connection>>,
}

#[async_trait]
impl Locker for OnConnection {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let connection = self.connection.take().context("it is held")?;
        self.held = Some(self.lock.acquire(connection).await?);
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        let held = self.held.take().context("nothing is held")?;
        self.connection = Some(held.release_now().await?);
        Ok(())
    }
}

/// By tasks that take a connection from a pool for each hold, and give it back.
struct OverPool(PgPool);

#[async_trait]
impl Lockers for OverPool {
    fn can(&self, workload: &Workload) -> bool {
        let may_wait = workload.names == Names::Apart || workload.clients <= 16;
        workload.kind == Kind::Mutex && may_wait
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        Ok(Box::new(OfPool {
            lock: PgAdvisoryLock::new(format!("pool/{}", seat.name)),
            pool: self.0.clone(),
            held: None,
        }))
    }
}

struct OfPool {
    lock: PgAdvisoryLock,
    pool: PgPool,
    held: Option<PgAdvisoryLockGuard<Connection>>,
}

#[async_trait]
impl Locker for OfPool {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let connection = self.pool.acquire().await?;
        self.held = Some(self.lock.acquire(connection).await?);
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        let held = self.held.take().context("nothing is held")?;
        drop(held.release_now().await?);
        Ok(())
    }
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
    let holder = Place::Url(server.url()).locks().await?;
    let waiter = server.url().replace("//postgres@", "//waiter@");
    let waiter = Place::Url(waiter).locks().await?;
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

async fn statements(server: &Server<Postgres>) -> Result<u64> {
    let statements = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements \
                      where userid = 'waiter'::regrole";
    count(server, statements).await
}

/// What a client is told that asks for more than a server takes that is not tuned for it.
async fn refusal() -> Result<String> {
    let server = Server::started(Postgres::new()).await?;
    let locks = Place::Url(server.url()).locks().await?;
    let acquiring: JoinSet<_> = (0..2_000)
        .map(|number| locks.lock(format!("hold/{number}")).acquire())
        .collect();
    let held = acquiring.join_all().await;
    let mut held = held.into_iter().collect::<distlock::Result<Vec<Guard>>>()?;
    let refused = loop {
        let lock = locks.lock(format!("more/{}", held.len()));
        match lock.try_acquire().await {
            Ok(guard) => held.extend(guard),
            Err(error) => break error,
        }
    };
    drop(held);
    locks.settle().await;
    ensure!(refused.kind() == ErrorKind::Unavailable, "{refused}");
    Ok(refused.to_string())
}
