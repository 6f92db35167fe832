use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use distlock_core::Result;
use etcd_client::KvClient;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error;
use crate::waiting::{Outcome, Waiting};
use crate::write::{Write, Written};

/// Writes that go out together, in one transaction.
pub(crate) struct Batch {
    pub(crate) together: Vec<Waiting>,
    /// As many go out together from now on.
    pub(crate) most: Arc<AtomicUsize>,
    pub(crate) _flight: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// Sends them, and deals out what comes of it, as long as somebody waits for that.
    pub(crate) async fn fly(mut self, mut kv: KvClient) {
        let parts = self.together.iter_mut();
        let (writes, mut outcomes): (Vec<_>, Vec<_>) = parts
            .map(|waiting| (&waiting.write, &mut waiting.outcome))
            .unzip();
        let answer = tokio::select! {
            answer = send(&writes, &mut kv) => answer,
            () = all_closed(&mut outcomes) => return,
        };
        self.deal(answer);
    }

    /// What has failed together is sent again one by one, unless it may have been done.
    fn deal(self, answer: Result<Option<Vec<Written>>>) {
        let count = self.together.len();
        match answer {
            Ok(Some(written)) => {
                for (waiting, written) in self.together.into_iter().zip(written) {
                    waiting.comes_to(Ok(written));
                }
            }
            Err(error) if count == 1 || !error::is_refusal(&error) => {
                for waiting in self.together {
                    waiting.comes_to(Err(error.clone()));
                }
            }
            refused => {
                if refused.is_err_and(|error| error::is_of_size(&error)) {
                    self.most.fetch_min(count / 2, Ordering::Relaxed);
                }
                for waiting in self.together {
                    waiting.goes_back();
                }
            }
        }
    }
}

async fn send(writes: &[&Write], kv: &mut KvClient) -> Result<Option<Vec<Written>>> {
    match writes {
        [one] => Ok(Some(vec![one.alone(kv).await?])),
        _ => Write::together(writes, kv).await,
    }
}

/// Waits until nobody waits for any of these.
async fn all_closed(outcomes: &mut [&mut oneshot::Sender<Outcome>]) {
    for outcome in outcomes {
        outcome.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn it_is_given_up_when_all_have_given_up() {
        const MOMENT: Duration = Duration::from_millis(10);
        let ((mut one, first), (mut other, second)) = (oneshot::channel(), oneshot::channel());
        drop(first);
        let mut outcomes = [&mut one, &mut other];
        let closed = timeout(MOMENT, all_closed(&mut outcomes)).await;
        assert!(closed.is_err());
        drop(second);
        all_closed(&mut outcomes).await;
    }
}
