use anyhow::{Context, Result, ensure};
use sqlx::Row;

use super::Postgres;
use crate::server::Server;
use crate::wait::until;

/// A primary, and a standby that streams from it and may be promoted. Nobody watches over them.
#[derive(Debug)]
pub struct PostgresPair {
    /// Takes writes.
    pub primary: Server<Postgres>,
    /// Follows the primary.
    pub standby: Server<Postgres>,
}

impl PostgresPair {
    /// Both, with these settings, once the standby has what the primary has.
    ///
    /// # Errors
    /// As for [`Server::started`].
    pub async fn started(recipe: impl Fn() -> Postgres) -> Result<Self> {
        let primary = Server::started(recipe()).await?;
        let standby = Server::started(recipe().standby_of(primary.address())).await?;
        let pair = Self { primary, standby };
        pair.linked().await?;
        Ok(pair)
    }

    /// Waits until the standby has replayed all that the primary has written.
    ///
    /// # Errors
    /// It does not.
    pub async fn linked(&self) -> Result<()> {
        const BEHIND: &str = "select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint \
                              from pg_stat_replication where state = 'streaming'";
        until("the standby to catch up", || async {
            let rows = self.primary.sql(BEHIND).await?;
            let behind: Option<i64> = rows.first().context("it does not stream")?.try_get(0)?;
            ensure!(
                behind.is_some_and(|bytes| bytes <= 0),
                "it is {behind:?} bytes behind"
            );
            Ok(())
        })
        .await
    }

    /// Makes a primary of the standby, which then knows nothing of the other one, and waits until
    /// it takes writes.
    ///
    /// # Errors
    /// It does not.
    pub async fn promote(&self) -> Result<()> {
        let rows = self.standby.sql("select pg_promote()").await?;
        let promoted: bool = rows.first().context("no answer")?.try_get(0)?;
        ensure!(promoted, "the standby is not promoted");
        Ok(())
    }
}
