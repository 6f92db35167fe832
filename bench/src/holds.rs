//! What a hold costs while it is held.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use distlock_conformance::faults::{Faulty, Verb};
use distlock_core::{Guard, Locks};
use distlock_memory::MemoryBackend;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// So many, acquired at once.
pub(crate) async fn acquired(locks: &Locks, count: usize) -> distlock_core::Result<Vec<Guard>> {
    let acquiring: JoinSet<_> = (0..count)
        .map(|number| locks.lock(format!("hold/{number}")).acquire())
        .collect();
    acquiring.join_all().await.into_iter().collect()
}

/// By how much the process grows for each of so many holds, acquired one after the other; the
/// store's records included, where they are in this process.
pub(crate) async fn bytes_each(locks: &Locks, count: usize) -> Result<usize> {
    let mut guards = Vec::with_capacity(count);
    let before = resident()?;
    for number in 0..count {
        guards.push(locks.lock(format!("hold/{number}")).acquire().await?);
    }
    let after = resident()?;
    drop(guards);
    locks.settle().await;
    Ok(after.saturating_sub(before) / count)
}

/// How many times as often as on the average so many holds, acquired at once, are renewed in the
/// busiest fiftieth of their first TTL.
pub(crate) async fn renewal_burst(count: usize) -> Result<f64> {
    const TTL: Duration = Duration::from_secs(4);
    let (backend, requests) = Faulty::new(MemoryBackend::new());
    let locks = Locks::builder().ttl(TTL).build(backend)?;
    let guards = acquired(&locks, count).await?;
    let (began, mut busiest) = (Instant::now(), 0.0_f64);
    let (mut looked, mut renewals) = (began, requests.count(Verb::Renew));
    let before = renewals;
    while began.elapsed() < TTL {
        sleep(TTL / 50).await;
        let (now, by_now) = (Instant::now(), requests.count(Verb::Renew));
        busiest = busiest.max(rate(by_now - renewals, now - looked));
        (looked, renewals) = (now, by_now);
    }
    let average = rate(renewals - before, looked - began);
    drop(guards);
    locks.settle().await;
    Ok(busiest / average)
}

fn rate(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64()
}

/// The memory of this process that is in use, in bytes (Linux).
fn resident() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1);
    let pages: usize = pages.context("/proc/self/statm is cut short")?.parse()?;
    Ok(pages * 4096)
}
