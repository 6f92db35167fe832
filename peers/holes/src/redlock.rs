//! `redlock`: Redis, one server or several, by a client that blocks.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use distlock_testbed::{Redis, Server};
use redlock::RedLock;
use tokio::runtime;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio::{select, try_join};

use crate::hole::{Peer, Seen, hole};
use crate::ours::{NAME, locks, millis};

pub(crate) const PEER: Peer = Peer {
    package: "redlock",
    version: "2.0.0",
    holes: &[
        hole!(
            a_short_lock_is_valid_for_ever,
            Promises,
            "the validity of a lock is slightly smaller than its TTL"
        ),
        hole!(
            one_server_of_three_is_enough_to_fail,
            Warns,
            "two of three servers, its quorum, grant a lock, and one that failed is held nowhere"
        ),
        hole!(
            acquire_async_blocks_its_thread,
            Promises,
            "`acquire_async` yields while it waits"
        ),
    ],
};

/// What the TTL is diminished by may be more than the TTL. Where overflows are checked it panics.
async fn a_short_lock_is_valid_for_ever() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let manager = RedLock::new(vec![server.url()]);
    let lock = manager.lock(NAME.as_bytes(), 1)?;
    let validity = lock.map(|lock| lock.validity_time);
    Ok(Seen::of_peer(
        validity > Some(1),
        format!("with a TTL of 1 ms: {validity:?} ms"),
    ))
}

/// "`Err` is returned on any Redis error"; of the keys that are left then nothing is said.
async fn one_server_of_three_is_enough_to_fail() -> Result<Seen> {
    const MINUTE: usize = 60_000;
    let servers = try_join!(
        Server::started(Redis::new()),
        Server::started(Redis::new()),
        Server::started(Redis::new())
    )?;
    let manager = RedLock::new(vec![servers.0.url(), servers.1.url(), servers.2.url()]);
    servers.1.kill().await?;
    let error = manager.lock(NAME.as_bytes(), MINUTE).err();
    let left: i64 = servers.0.command(&["PTTL", NAME]).await?;
    Ok(Seen::of_peer(
        error.is_some() && left > 0,
        format!(
            "with the second server down: {}; the key on the first is there for {left} ms more",
            error.map(|error| error.to_string()).unwrap_or_default()
        ),
    ))
}

async fn acquire_async_blocks_its_thread() -> Result<Seen> {
    const HELD: Duration = Duration::from_secs(1);
    let server = Server::started(Redis::new()).await?;
    let manager = RedLock::new(vec![server.url()]);
    let held = usize::try_from(HELD.as_millis())?;
    let lock = manager.lock(NAME.as_bytes(), held)?;
    lock.context("the lock is not free")?;
    let waiter = manager.clone();
    let gap = longest_gap(async move || {
        waiter
            .acquire_async(NAME.as_bytes(), held)
            .await
            .map(drop)?;
        Ok(())
    });
    let gap = gap.await?;
    let seen = Seen::of_peer(
        gap > Duration::from_millis(50),
        format!(
            "what wants to run each 5 ms on that thread stands still for {}",
            millis(gap)
        ),
    );

    let guard = locks(&server).await?.lock("ours").acquire().await?;
    let url = server.url();
    let gap = longest_gap(async move || {
        let acquired = distlock::connect(&url).await?.lock("ours").acquire().await;
        Ok(acquired?.release().await?)
    });
    let release = async {
        sleep(HELD).await;
        Ok(guard.release().await?)
    };
    let (gap, ()) = try_join!(gap, release)?;
    Ok(seen.beside_ours(format!("for {}", millis(gap))))
}

/// The longest time between two steps of a task that wants one each 5 ms, beside this work on the
/// one thread of a runtime.
async fn longest_gap(work: impl AsyncFnOnce() -> Result<()> + Send + 'static) -> Result<Duration> {
    let measured = spawn_blocking(move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut longest = Duration::ZERO;
            let steps = async {
                loop {
                    let began = Instant::now();
                    sleep(Duration::from_millis(5)).await;
                    longest = longest.max(began.elapsed());
                }
            };
            select! {
                biased;
                () = steps => {}
                done = work() => done?,
            }
            Ok(longest)
        })
    });
    measured.await?
}
