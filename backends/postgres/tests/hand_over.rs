//! From when the TTL counts of a lock that was waited for, on a real server.

use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Postgres, Server};
use tokio::time::{Instant, sleep, timeout};

const TTL: Duration = Duration::from_secs(4);
/// For what takes a few round trips, on a loaded machine.
const SOON: Duration = Duration::from_secs(8);
/// A wait that is no longer brings the number with it.
const BRIEF: Duration = Duration::from_millis(500);

async fn locks_at(url: &str) -> Result<Locks> {
    let backend = PostgresBackend::connect(url).await?;
    Ok(Locks::builder().ttl(TTL).build(backend)?)
}

/// Until the server shows so many who wait for locks of names.
async fn shows_waiters(server: &Server<Postgres>, count: usize) -> Result<()> {
    let shown = "select pid from pg_locks \
                 where locktype = 'advisory' and objsubid = 1 and not granted";
    let shows = async {
        while server.sql(shown).await?.len() != count {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    timeout(SOON, shows).await?
}

#[tokio::test]
async fn a_short_wait_counts_as_a_part_of_the_ttl() -> Result<()> {
    let server = Server::started(Postgres::new()).await?;
    let (one, two) = (
        locks_at(&server.url()).await?,
        locks_at(&server.url()).await?,
    );
    // Where the machine has made it a long one, it counts from the grant.
    loop {
        let held = one.lock("a").acquire().await?;
        let began = Instant::now();
        let waiting = tokio::spawn(two.lock("a").acquire());
        shows_waiters(&server, 1).await?;
        let waits = Instant::now();
        sleep(BRIEF / 3).await;
        held.release().await?;
        let granted = waiting.await??;
        let (valid_for, waited) = (granted.valid_for(), waits.elapsed());
        let was_short = began.elapsed() < BRIEF;
        granted.release().await?;
        if was_short {
            assert!(valid_for + waited <= TTL, "{valid_for:?} after {waited:?}");
            return Ok(());
        }
    }
}
