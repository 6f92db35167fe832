//! Redis: this library beside the two bare commands of the same client.

use std::time::Duration;

use anyhow::Result;
use distlock_load::{Clients, Locker, Lockers, Mode, Names, Seat, Workload, async_trait};
use distlock_testbed::{Redis, Server};
use redis::aio::MultiplexedConnection;
use redis::{Client, Script};

use super::{AnyServer, Arena};
use crate::contestant::{Contestant, here};
use crate::distlock::Place;
use crate::extras::Extras;
use crate::options::Effort;
use crate::plan::{CONTENDED, ONE_TASK, TASKS_64};
use crate::ratio::{BARE, DISTLOCK, Ratio};

const COMPARE_AND_DELETE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

pub(crate) struct OfRedis(Server<Redis>);

pub(crate) async fn started() -> Result<OfRedis> {
    Ok(OfRedis(Server::started(Redis::new()).await?))
}

#[async_trait]
impl Arena for OfRedis {
    fn place(&self) -> Place {
        Place::Url(self.0.url())
    }

    fn server(&self) -> Option<&dyn AnyServer> {
        Some(&self.0)
    }

    fn url_for_peers(&self) -> Option<String> {
        Some(self.0.url())
    }

    async fn bare(&self) -> Result<Vec<Box<dyn Contestant>>> {
        let client = Client::open(self.0.url())?;
        Ok(vec![here(BARE, Bare(client, Clients::default()))])
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
                (TASKS_64, BARE),
            ),
            Ratio::rates(
                "rate of changes of owner / of bare pairs",
                (CONTENDED, DISTLOCK),
                (ONE_TASK, BARE),
            ),
            Ratio::SHARE,
        ]
    }

    async fn work(&self) -> Result<Option<(&'static str, u64)>> {
        let stats: String = self.0.command(&["INFO", "commandstats"]).await?;
        let calls = stats
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        let calls = calls.filter_map(|line| line.split(',').next()?.parse::<u64>().ok());
        Ok(Some(("scripts", calls.sum())))
    }

    async fn scarce(&self) -> Result<Vec<(&'static str, u64)>> {
        let clients: String = self.0.command(&["CLIENT", "LIST"]).await?;
        Ok(vec![("connections", clients.lines().count() as u64)])
    }

    async fn revoke(&self) -> Result<Option<&'static str>> {
        let () = self.0.command(&["FLUSHALL"]).await?;
        Ok(Some("all keys are deleted"))
    }

    async fn more(&self, effort: Effort, extras: &mut Extras) -> Result<()> {
        const OF_WAITER: &str = "requests of a waiter in a third of its TTL";
        match effort.quick {
            true => extras.leave_out(OF_WAITER, "takes longer than a quick run has"),
            false => extras.add(OF_WAITER, self.requests_of_a_waiter().await?),
        }
        Ok(())
    }
}

impl OfRedis {
    /// How many requests the server gets from one that waits, in each third of its TTL.
    async fn requests_of_a_waiter(&self) -> Result<f64> {
        const THIRD: Duration = Duration::from_secs(1);
        const THIRDS: u32 = 10;
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let locks = self.place().locks().await?;
        // Not renewed meanwhile.
        let held = locks.lock("waited for").ttl(DAY).acquire().await?;
        let waiting = tokio::spawn(locks.lock("waited for").ttl(3 * THIRD).acquire());
        while locks.inspect("waited for").await?.waiters.is_empty() {}
        let before = self.work().await?;
        tokio::time::sleep(THIRD * THIRDS).await;
        let after = self.work().await?;
        held.release().await?;
        waiting.await??.release().await?;
        let scripts = |work: Option<(_, u64)>| work.map_or(0, |(_, scripts)| scripts);
        Ok((scripts(after) - scripts(before)) as f64 / f64::from(THIRDS))
    }
}

/// A `SET NX PX` and a compare-and-delete.
struct Bare(Client, Clients<MultiplexedConnection>);

#[async_trait]
impl Lockers for Bare {
    fn can(&self, workload: &Workload) -> bool {
        workload.names == Names::Apart
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let connect = || self.0.get_multiplexed_async_connection();
        Ok(Box::new(Key {
            connection: self.1.get(seat.client, connect).await?,
            name: format!("bare/{}", seat.name),
            release: Script::new(COMPARE_AND_DELETE),
        }))
    }
}

struct Key {
    connection: MultiplexedConnection,
    name: String,
    release: Script,
}

const ID: &str = "0123456789abcdef0123456789abcdef";

#[async_trait]
impl Locker for Key {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        let mut take = redis::cmd("SET");
        take.arg(&self.name).arg(ID).arg("NX").arg("PX").arg(15_000);
        Ok(take.query_async(&mut self.connection).await?)
    }

    async fn release(&mut self) -> Result<()> {
        let mut release = self.release.key(&self.name);
        Ok(release.arg(ID).invoke_async(&mut self.connection).await?)
    }
}
