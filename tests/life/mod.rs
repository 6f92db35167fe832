//! What the tests of events and metrics watch.

use std::time::Duration;

use distlock::memory::MemoryBackend;
use distlock::{Locks, Loss};

/// Acquired, busy, given up, lost and released.
pub(crate) async fn a_life() {
    let locks = Locks::builder()
        .namespace("shop")
        .build(MemoryBackend::new())
        .unwrap();
    let lock = locks.lock("orders/42");
    let guard = lock.acquire().await.unwrap();
    assert!(lock.try_acquire().await.unwrap().is_none());
    let limit = Duration::from_secs(20);
    assert!(lock.acquire_within(limit).await.is_err());
    guard.release().await.unwrap();
    let limited = lock.max_hold(limit).acquire().await.unwrap();
    assert_eq!(limited.lost().await, Loss::MaxHold);
    assert!(locks.lock("").acquire().await.is_err());
    locks.settle().await;
}
