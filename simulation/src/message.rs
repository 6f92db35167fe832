//! What passes between clients and the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::Place;
use distlock_core::{Error, Result};
use tokio::sync::oneshot;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// To join the line, or to look.
    Enter {
        /// Whether to stay in line if the name is held.
        wait: bool,
    },
    /// Another TTL.
    Renew,
    /// To leave.
    Leave,
}

/// What becomes of a message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journey {
    /// It arrives, perhaps more than once, after so long.
    Arrives(Vec<Duration>),
    /// It is lost, and nobody is told.
    Lost,
    /// It is lost, and its sender is told so after so long.
    Refused(Duration),
}

/// A request of a claim. The store does those of one claim in the order of their sequence, and
/// ignores what comes after a later one.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) claim: usize,
    pub(crate) client: usize,
    pub(crate) name: usize,
    pub(crate) sequence: u32,
    pub(crate) verb: Verb,
    pub(crate) request: Arc<ClaimRequest>,
    /// How long its sender waits for the reply.
    pub(crate) allowed: Duration,
    pub(crate) sender: Sender,
}

/// Where the first reply to a request goes; the rest are superfluous.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<Mutex<Option<oneshot::Sender<Reply>>>>);

/// Where the claim stood, or what is wrong.
pub(crate) type Reply = Result<Place, Error>;

impl Sender {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Whether the sender of the request waits no more, though it has had no reply.
    pub(crate) fn has_given_up(&self) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    pub(crate) fn reply(&self, reply: Reply) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever waits no more has been told that it is not known.
            let _ = sender.send(reply);
        }
    }
}
