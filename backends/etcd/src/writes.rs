use std::sync::Arc;

use distlock_core::{Deadline, Result};
use etcd_client::KvClient;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::{self, unavailable};
use crate::gate::Gate;
use crate::waiting::{Outcome, Waiting};
use crate::write::{Write, Written};

/// What is written on one connection.
///
/// A few writes are under way at a time, each a request of its own. What comes meanwhile waits for
/// one of them to be answered, and goes out together: one transaction, and one entry in the log of
/// the servers, for many.
#[derive(Clone)]
pub(crate) struct Writes {
    kv: KvClient,
    /// To have a request under way.
    flights: Arc<Semaphore>,
    waiting: mpsc::UnboundedSender<Waiting>,
}

impl Writes {
    /// So many requests are under way before others wait for them.
    const FLIGHTS: usize = 4;

    /// On this connection. What waits is sent by the runtime that serves it: where that does
    /// nothing any more, the connection does neither.
    pub(crate) fn on(kv: KvClient) -> Self {
        let (waiting, arriving) = mpsc::unbounded_channel();
        let flights = Arc::new(Semaphore::new(Self::FLIGHTS));
        let gate = Gate::new(kv.clone(), Arc::clone(&flights), arriving);
        tokio::spawn(gate.keep());
        Self {
            kv,
            flights,
            waiting,
        }
    }

    /// Has it written; after the deadline it is not sent any more.
    pub(crate) async fn write(mut self, write: Write, by: Deadline) -> Result<Written> {
        // A try that is in vain would have all that go with it sent again.
        if write.is_try() {
            return write.alone(&mut self.kv).await;
        }
        if let Ok(_flight) = self.flights.try_acquire() {
            return write.alone(&mut self.kv).await;
        }
        let (outcome, comes) = oneshot::channel();
        // What is not taken any more comes to nothing.
        let _ = self.waiting.send(Waiting { write, by, outcome });
        match comes.await {
            Ok(Outcome::Answer(answer)) => answer,
            _ if by.remaining().is_zero() => Err(unavailable("there was no time left to ask")),
            Ok(Outcome::Back(write)) => write.alone(&mut self.kv).await,
            Err(_) => Err(error::unserved()),
        }
    }
}
