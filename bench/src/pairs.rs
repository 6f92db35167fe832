//! Acquire and release, uncontended.

use std::time::Duration;

use distlock_core::{Locks, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::each;

/// The time of a pair, one after the other on one name.
pub(crate) async fn one_task(locks: &Locks, round: Duration) -> Result<Duration> {
    let locks = locks.clone();
    // A task of its own, as in an application: the future of `main` runs on a thread that is no
    // worker.
    let work = tokio::spawn(async move {
        let began = Instant::now();
        let count = pairs(&locks, "pair", round).await?;
        each(began, count)
    });
    work.await.expect("the workload does not panic")
}

/// The time of a pair where so many tasks work at once, each on a name of its own.
pub(crate) async fn many_tasks(locks: &Locks, tasks: usize, round: Duration) -> Result<Duration> {
    let mut working = JoinSet::new();
    let began = Instant::now();
    for task in 0..tasks {
        let locks = locks.clone();
        working.spawn(async move { pairs(&locks, &format!("pair/{task}"), round).await });
    }
    let counts = working
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    each(began, counts.into_iter().sum())
}

async fn pairs(locks: &Locks, name: &str, round: Duration) -> Result<u32> {
    let lock = locks.lock(name);
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < round {
        lock.acquire().await?.release().await?;
        count += 1;
    }
    Ok(count)
}
