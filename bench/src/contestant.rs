use std::time::Duration;

use anyhow::Result;
use distlock_load::{Lockers, Outcome, Workload, async_trait, round};

/// Whose locks are measured.
#[async_trait]
pub(crate) trait Contestant: Send + Sync {
    fn name(&self) -> &str;

    /// Works for so long, if this can be had of it.
    async fn round(&self, workload: Workload, length: Duration) -> Result<Option<Outcome>>;
}

/// One that works in this process.
pub(crate) struct Here<L> {
    name: &'static str,
    lockers: L,
}

/// One of this name.
pub(crate) fn here(name: &'static str, lockers: impl Lockers + 'static) -> Box<dyn Contestant> {
    Box::new(Here { name, lockers })
}

#[async_trait]
impl<L: Lockers> Contestant for Here<L> {
    fn name(&self) -> &str {
        self.name
    }

    async fn round(&self, workload: Workload, length: Duration) -> Result<Option<Outcome>> {
        round(&self.lockers, workload, length).await
    }
}
