use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::{sleep, timeout};

/// For what a server does within a few seconds, on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is a good one. If none comes in time, the error tells what
/// was waited for and what the last answer was.
pub(crate) async fn until<T, Answer>(what: &str, mut ask: impl FnMut() -> Answer) -> Result<T>
where
    Answer: Future<Output = Result<T>>,
{
    let began = Instant::now();
    loop {
        // One that is never answered must not keep the next from being asked.
        let answer = timeout(Duration::from_secs(5), ask()).await;
        let answer = answer.context("no answer at all").flatten();
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("waited in vain for {what}"));
            }
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits for what is done within a few seconds, unless something has gone wrong.
pub(crate) async fn in_time<T>(done: impl Future<Output = Result<T>>) -> Result<T> {
    let done = timeout(PATIENCE, done).await;
    done.context("it takes too long").flatten()
}
