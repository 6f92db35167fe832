use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

/// How late a timer may be without a word about it.
const USUAL: Duration = Duration::from_millis(100);

/// For how long a case's runtime has stood still at a time: told with a failure, since a machine
/// that does not run the case for a TTL loses its locks, and rightly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stalls(Arc<AtomicU64>);

impl Stalls {
    /// Watches this runtime until it shuts down.
    pub(crate) fn watch(runtime: &Handle) -> Self {
        const TICK: Duration = Duration::from_millis(20);
        let stalls = Self::default();
        let longest = Arc::clone(&stalls.0);
        runtime.spawn(async move {
            loop {
                let due = Instant::now() + TICK;
                sleep_until(due).await;
                let late = u64::try_from(due.elapsed().as_millis()).unwrap_or(u64::MAX);
                longest.fetch_max(late, Ordering::Relaxed);
            }
        });
        stalls
    }

    /// The longest, if it was unusual.
    pub(crate) fn told(&self) -> String {
        let longest = Duration::from_millis(self.0.load(Ordering::Relaxed));
        if longest < USUAL {
            return String::new();
        }
        format!(
            "the machine kept this case waiting for up to {longest:?}; run fewer cases at a time, \
             or give the harness a longer TTL"
        )
    }
}
