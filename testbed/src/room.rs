use anyhow::Result;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Leave to run several servers that keep an eye on each other, of which there are two in a process:
/// where more of them share two cores, members get no time for seconds now and then, and vote their
/// leader out.
#[derive(Debug)]
pub(crate) struct Room {
    _place: SemaphorePermit<'static>,
}

impl Room {
    /// Waits until there are not too many. Whoever has one must not ask for another.
    pub(crate) async fn free() -> Result<Self> {
        static PLACES: Semaphore = Semaphore::const_new(2);
        let _place = PLACES.acquire().await?;
        Ok(Self { _place })
    }
}
