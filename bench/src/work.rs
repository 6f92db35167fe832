//! What tasks do at once, and what it costs.

use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use tokio::task::JoinSet;
use tokio::time::Instant;

const ROUND: Duration = Duration::from_millis(600);

/// What came of a round.
pub(crate) struct Done {
    /// The time of one of the things that were done.
    pub(crate) each: Duration,
    /// What the task did that did the least, over what the one did that did the most.
    pub(crate) share: f64,
}

/// Has these work, and count. They are tasks, as in an application, also where it is one: the
/// future of `main` runs on a thread that is no worker.
pub(crate) async fn at_once<W>(works: impl IntoIterator<Item = W>) -> Result<Done>
where
    W: Future<Output = Result<u32>> + Send + 'static,
{
    let began = Instant::now();
    let working: JoinSet<_> = works.into_iter().collect();
    let counts = working.join_all().await.into_iter();
    let counts = counts.collect::<Result<Vec<_>>>()?;
    let each = began.elapsed() / counts.iter().sum::<u32>().max(1);
    let (least, most) = (counts.iter().min(), counts.iter().max());
    let share = least.zip(most).map_or(0.0, |(least, most)| {
        f64::from(*least) / f64::from((*most).max(1))
    });
    Ok(Done { each, share })
}

/// Counts from one on while a round lasts.
pub(crate) fn round() -> impl Iterator<Item = u32> {
    let began = Instant::now();
    (1..).take_while(move |_| began.elapsed() < ROUND)
}

/// Acquires and releases, by so many tasks on a name each.
pub(crate) async fn apart(locks: &Locks, tasks: usize) -> Result<Done> {
    at_once((0..tasks).map(|task| pairs(locks.clone(), format!("pair/{task}")))).await
}

/// Acquires and releases one name, by a task of each of these.
pub(crate) async fn contended(contenders: &[Locks]) -> Result<Done> {
    let name = || "contended".to_owned();
    at_once(contenders.iter().map(|locks| pairs(locks.clone(), name()))).await
}

async fn pairs(locks: Locks, name: String) -> Result<u32> {
    let lock = locks.lock(name);
    let mut count = 0;
    for number in round() {
        lock.acquire().await?.release().await?;
        count = number;
    }
    Ok(count)
}
