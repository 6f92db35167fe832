//! Somebody who takes no part, and looks at what is left in the end.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock::Locks;
use distlock_conformance::history::{Recorder, Terms, What};
use tokio::time::{Instant, sleep};

use crate::work;

/// What this store is held to. A machine with little to do is quicker; one that
/// has too much to do is seen as a fault.
pub(crate) fn terms(locks: &Locks, ttl: Duration) -> Terms {
    let store = locks.capabilities();
    let ttl = store.ttl_in_force(ttl);
    let mut terms = Terms::default();
    terms.slack = store.slack;
    terms.fair = store.fair != distlock::Fair::No;
    terms.soon = Duration::from_millis(700);
    // Longer than a timer is late: who is told first writes that down, and disks may be slow.
    terms.notice = Duration::from_secs(1);
    // Clients that were out of reach come back, leaders are elected and count TTLs anew.
    terms.settles = 2 * ttl + store.slack + Duration::from_secs(2);
    terms
}

/// Records who still holds and waits for each name, once nobody does, or nobody will let go.
pub(crate) async fn look_back(
    locks: &Locks,
    recorder: &Recorder,
    patience: Duration,
) -> Result<()> {
    for name in work::names(locks.capabilities()) {
        let end = Instant::now() + patience;
        let state = loop {
            let state = locks.inspect(name).await.context("the store at the end")?;
            if state.is_free() || Instant::now() > end {
                break state;
            }
            sleep(Duration::from_millis(50)).await;
        };
        recorder.record(What::Left {
            name: name.to_owned(),
            holders: state.holders.len(),
            waiters: state.waiters.len(),
        })?;
    }
    Ok(())
}
