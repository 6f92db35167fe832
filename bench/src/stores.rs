//! Each store: its server, the bare commands of its client, and what only it can be asked.

mod etcd;
mod memory;
mod postgres;
mod redis;
mod sqlite;
mod zookeeper;

use std::time::Duration;

use anyhow::Result;
use distlock_load::async_trait;
use distlock_testbed::{Recipe, Server};

use crate::contestant::Contestant;
use crate::distlock::Place;
use crate::extras::Extras;
use crate::options::{Effort, Store};
use crate::ratio::{Bound, Ratio, Ratios};

/// A store that is ready to be measured.
#[async_trait]
pub(crate) trait Arena: Send + Sync {
    /// Where distlock finds it.
    fn place(&self) -> Place;

    /// The server, if it has one.
    fn server(&self) -> Option<&dyn AnyServer> {
        None
    }

    /// The id of its process.
    async fn pid(&self) -> Result<Option<u32>> {
        match self.server() {
            None => Ok(None),
            Some(server) => Ok(Some(server.pid().await?)),
        }
    }

    /// Its address, for the peers that run in a process of their own.
    fn url_for_peers(&self) -> Option<String> {
        None
    }

    /// How many may want one name at once, so that all of them get it within seconds.
    fn most_in_line(&self) -> usize {
        1_000
    }

    /// The bare commands of the client, before distlock in all tables.
    async fn bare(&self) -> Result<Vec<Box<dyn Contestant>>> {
        Ok(Vec::new())
    }

    /// What else has locks over it, of what this workspace depends on anyway.
    async fn others(&self) -> Result<Vec<Box<dyn Contestant>>> {
        Ok(Vec::new())
    }

    /// Which figures to compare.
    fn ratios(&self) -> Vec<Ratio> {
        Vec::new()
    }

    /// What has to be kept.
    fn bounds(&self, _ratios: &Ratios<'_>, _extras: &Extras) -> Vec<Bound> {
        Vec::new()
    }

    /// What the server counts of its work, and how much that is by now.
    async fn work(&self) -> Result<Option<(&'static str, u64)>> {
        Ok(None)
    }

    /// How many the server has by now of what is scarce: connections, sessions, leases.
    async fn scarce(&self) -> Result<Vec<(&'static str, u64)>> {
        Ok(Vec::new())
    }

    /// Takes from all who hold, as an administrator can: how that is done, if it can be.
    async fn revoke(&self) -> Result<Option<&'static str>> {
        Ok(None)
    }

    /// What is asked of this store only.
    async fn more(&self, _effort: Effort, _extras: &mut Extras) -> Result<()> {
        Ok(())
    }
}

/// A server of any kind.
#[async_trait]
pub(crate) trait AnyServer: Send + Sync {
    async fn pid(&self) -> Result<u32>;
    async fn pause(&self) -> Result<()>;
    async fn resume(&self) -> Result<()>;
}

#[async_trait]
impl<R: Recipe> AnyServer for Server<R> {
    async fn pid(&self) -> Result<u32> {
        self.pid().await
    }

    async fn pause(&self) -> Result<()> {
        self.pause().await
    }

    async fn resume(&self) -> Result<()> {
        self.resume().await
    }
}

/// Of this store, with a server of its own.
pub(crate) async fn arena(store: Store, warm: Duration) -> Result<Box<dyn Arena>> {
    Ok(match store {
        Store::Memory => Box::new(memory::Memory::default()),
        Store::Sqlite => Box::new(sqlite::Sqlite::new()?),
        Store::Redis => Box::new(redis::started().await?),
        Store::Postgres => Box::new(postgres::started().await?),
        Store::Etcd => Box::new(etcd::started().await?),
        Store::ZooKeeper => Box::new(zookeeper::started(warm).await?),
    })
}
