use anyhow::{Result, ensure};

use super::Redis;
use crate::server::Server;
use crate::wait::until;

/// A primary, and a replica that may be promoted. Nobody watches over them.
#[derive(Debug)]
pub struct RedisPair {
    /// Takes writes.
    pub primary: Server<Redis>,
    /// Follows the primary.
    pub replica: Server<Redis>,
}

impl RedisPair {
    /// Both, with these settings, once the replica has what the primary has.
    ///
    /// # Errors
    /// As for [`Server::started`].
    pub async fn started(recipe: impl Fn() -> Redis) -> Result<Self> {
        let primary = Server::started(recipe()).await?;
        let replica = Server::started(recipe().replica_of(primary.address())).await?;
        let pair = Self { primary, replica };
        pair.linked().await?;
        Ok(pair)
    }

    /// Waits until the replica has all that the primary had when this was called.
    ///
    /// # Errors
    /// It does not follow the primary.
    pub async fn linked(&self) -> Result<()> {
        let all: u64 = self.primary.info("master_repl_offset").await?.parse()?;
        until("the replica to catch up", || async {
            let link = self.replica.info("master_link_status").await?;
            ensure!(link == "up", "the link is {link}");
            let offset: u64 = self.replica.info("slave_repl_offset").await?.parse()?;
            ensure!(offset >= all, "it has {offset} bytes of {all}");
            Ok(())
        })
        .await
    }

    /// Makes a primary of the replica, which then knows nothing of the other one.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn promote(&self) -> Result<()> {
        self.replica.command(&["REPLICAOF", "NO", "ONE"]).await
    }
}
