use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;

/// Polls a future so many times, at intervals and whether it asks to be polled or not, and then
/// drops it. Its output, if it came to one.
///
/// Since the future is polled much more often than it needs, drops fall at all the points that its
/// work can have reached, and not only where it waits.
pub(crate) async fn drop_after_polls<F: Future + Unpin>(
    polls: u32,
    every: Duration,
    mut future: F,
) -> Option<F::Output> {
    for poll in 0..polls {
        if poll > 0 {
            pause(every).await;
        }
        if let Poll::Ready(output) = poll_once(&mut future).await {
            return Some(output);
        }
    }
    None
}

async fn pause(time: Duration) {
    if time.is_zero() {
        tokio::task::yield_now().await;
    } else {
        sleep(time).await;
    }
}

/// Polls a future once, with the waker of the task.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context: &mut Context<'_>| {
        Poll::Ready(Pin::new(&mut *future).poll(context))
    })
    .await
}
