//! What a hold costs while it is held.

use anyhow::{Context, Result};
use distlock_core::{Guard, Locks};
use tokio::task::JoinSet;

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

/// The memory of this process that is in use, in bytes (Linux).
fn resident() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1);
    let pages: usize = pages.context("/proc/self/statm is cut short")?.parse()?;
    Ok(pages * 4096)
}
