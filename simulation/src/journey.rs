use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use distlock_core::Result;
use tokio::sync::oneshot;

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

/// What a message takes at most when nothing is wrong.
pub(crate) const PROMPT: Duration = Duration::from_millis(4);

impl Journey {
    /// How long it takes if it arrives once, or more often, and soon.
    pub(crate) fn is_prompt(&self) -> bool {
        matches!(self, Self::Arrives(after) if after.first().is_some_and(|first| *first <= PROMPT))
    }

    pub(crate) fn is_doubled(&self) -> bool {
        matches!(self, Self::Arrives(after) if after.len() > 1)
    }
}

/// Where the first reply to a request goes; the rest are superfluous.
#[derive(Debug)]
pub(crate) struct Mailbox<T>(Arc<Mutex<Option<oneshot::Sender<Result<T>>>>>);

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Empties it for the next reply.
    pub(crate) fn open(&self) -> oneshot::Receiver<Result<T>> {
        let (sender, receiver) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Whether nobody waits for the reply any more, though there was none.
    pub(crate) fn is_abandoned(&self) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Whether a reply has come.
    pub(crate) fn is_answered(&self) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.is_none()
    }

    pub(crate) fn deliver(&self, reply: Result<T>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever waits no more has been told that it is not known.
            drop(sender.send(reply));
        }
    }
}
