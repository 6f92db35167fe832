use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::KvClient;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::batch::Batch;
use crate::waiting::{Queue, Waiting};
use crate::write::Write;

/// Where the writes of one connection wait, and from where they go out together: a task, which ends
/// with the connection.
pub(crate) struct Gate {
    kv: KvClient,
    flights: Arc<Semaphore>,
    arriving: mpsc::UnboundedReceiver<Waiting>,
    queue: Queue,
    /// As many go out together. A server may take fewer than by its default.
    most: Arc<AtomicUsize>,
}

impl Gate {
    /// Where answers take long, what has come in this time goes out without waiting for them.
    const PATIENCE: Duration = Duration::from_millis(1);

    pub(crate) fn new(
        kv: KvClient,
        flights: Arc<Semaphore>,
        arriving: mpsc::UnboundedReceiver<Waiting>,
    ) -> Self {
        Self {
            kv,
            flights,
            arriving,
            queue: Queue::default(),
            most: Arc::new(AtomicUsize::new(Write::MOST)),
        }
    }

    pub(crate) async fn keep(mut self) {
        while self.has_some().await {
            let flight = Arc::clone(&self.flights).acquire_owned();
            let flight = timeout(Self::PATIENCE, flight).await;
            while let Ok(arrived) = self.arriving.try_recv() {
                self.queue.push(arrived);
            }
            let together = self.queue.next(self.most.load(Ordering::Relaxed));
            if !together.is_empty() {
                let batch = Batch {
                    together,
                    most: Arc::clone(&self.most),
                    _flight: flight.ok().and_then(Result::ok),
                };
                tokio::spawn(batch.fly(self.kv.clone()));
            }
        }
    }

    /// Waits until there are some. `false`: there will be none any more.
    async fn has_some(&mut self) -> bool {
        if !self.queue.is_empty() {
            return true;
        }
        let arrived = self.arriving.recv().await;
        arrived.map(|arrived| self.queue.push(arrived)).is_some()
    }
}
