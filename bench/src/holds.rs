//! What a hold costs while it is held.

use distlock_core::{Error, ErrorKind, Locks, Result};
use distlock_memory::MemoryBackend;

/// By how much the process grows for each of so many holds in the memory store, that store's
/// records included.
pub(crate) async fn bytes_each(count: usize) -> Result<usize> {
    let locks = Locks::new(MemoryBackend::new())?;
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
    let unreadable = || Error::new(ErrorKind::Unsupported, "/proc/self/statm cannot be read");
    let statm = std::fs::read_to_string("/proc/self/statm")
        .map_err(|error| unreadable().with_source(error))?;
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .ok_or_else(unreadable)?;
    Ok(pages * 4096)
}
