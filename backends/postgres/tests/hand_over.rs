//! From when the TTL counts of a lock that was waited for, on a real server.

use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Postgres, Server};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

const TTL: Duration = Duration::from_secs(4);
/// For what takes a few round trips, on a loaded machine.
const SOON: Duration = Duration::from_secs(8);
/// Who has waited for longer than that is asked whether it has heard of its grant.
const LONG: Duration = Duration::from_millis(500);

fn locks_at(url: &str) -> Result<Locks> {
    let backend = PostgresBackend::new(url.parse()?);
    Ok(Locks::builder().ttl(TTL).build(backend)?)
}

/// Until the server shows so many locks of names, granted or waited for.
async fn shows(server: &Server<Postgres>, granted: bool, count: usize) -> Result<()> {
    let shown = format!(
        "select pid from pg_locks \
         where locktype = 'advisory' and objsubid = 1 and granted = {granted}"
    );
    let shows = async {
        while server.sql(&shown).await?.len() != count {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    timeout(SOON, shows).await?
}

#[tokio::test]
async fn a_short_wait_counts_as_a_part_of_the_ttl() -> Result<()> {
    let server = Server::started(Postgres::new()).await?;
    let (one, two) = (locks_at(&server.url())?, locks_at(&server.url())?);
    // Where the machine has made it a long one, it counts from the grant.
    loop {
        let held = one.lock("a").acquire().await?;
        let began = Instant::now();
        let waiting = tokio::spawn(two.lock("a").acquire());
        shows(&server, false, 1).await?;
        let waits = Instant::now();
        sleep(LONG / 3).await;
        held.release().await?;
        let granted = waiting.await??;
        let (valid_for, waited) = (granted.valid_for(), waits.elapsed());
        let was_short = began.elapsed() < LONG;
        granted.release().await?;
        if was_short {
            assert!(valid_for + waited <= TTL, "{valid_for:?} after {waited:?}");
            return Ok(());
        }
    }
}

#[test]
fn who_stopped_in_a_long_wait_keeps_its_grant_for_no_ttl() -> Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(Server::started(Postgres::new()))?;
    let held = runtime.block_on(async {
        let locks = locks_at(&server.url())?;
        anyhow::Ok(locks.lock("a").acquire().await?)
    })?;
    // Nobody drives this one but here.
    let stopped = Builder::new_current_thread().enable_all().build()?;
    let _waits = stopped.block_on(async {
        let locks = locks_at(&server.url())?;
        let waiting = tokio::spawn(locks.lock("a").acquire());
        shows(&server, false, 1).await?;
        sleep(2 * LONG).await;
        anyhow::Ok((locks, waiting))
    })?;
    runtime.block_on(async {
        held.release().await?;
        let granted = Instant::now();
        shows(&server, true, 0).await?;
        let kept = granted.elapsed();
        assert!(kept < TTL * 3 / 4, "it was kept for {kept:?}");
        Ok(())
    })
}
