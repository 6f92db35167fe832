use std::time::Duration;

use crate::clock::Deadline;
use crate::sync::watch;

/// How long an attempt may go on: the caller's will to wait, and the time allowed to each request.
#[derive(Clone, Debug)]
pub struct Patience {
    ended: watch::Receiver<bool>,
    request: Duration,
    is_refresh: bool,
}

impl Patience {
    /// Patience without end, until the returned handle ends it. Each request has `request` to be
    /// answered.
    pub fn unlimited(request: Duration) -> (Self, EndPatience) {
        let (end, ended) = watch::channel(false);
        let is_refresh = false;
        let patience = Self {
            ended,
            request,
            is_refresh,
        };
        (patience, EndPatience(end))
    }

    /// Patience that has ended already: a try.
    pub fn none(request: Duration) -> Self {
        let (_, ended) = watch::channel(true);
        let is_refresh = false;
        Self {
            ended,
            request,
            is_refresh,
        }
    }

    /// The same, of a [refresh](Self::is_refresh).
    pub(crate) fn of_refresh(self) -> Self {
        let is_refresh = true;
        Self { is_refresh, ..self }
    }

    /// By when the request that is about to be sent must be answered.
    pub fn deadline(&self) -> Deadline {
        Deadline::within(self.request)
    }

    /// Whether the attempt only comes in time to keep the claim's place: it was blocked when it was
    /// last asked, and its [`Signals`](super::Signals) have told nothing since. A store that tells
    /// for certain, and keeps the place by other means, need not be asked anything.
    pub fn is_refresh(&self) -> bool {
        self.is_refresh
    }

    /// Whether nobody waits for this attempt to succeed any more.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Resolves once nobody waits for this attempt to succeed any more.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ended(&self) {
        // An error means that the handle is gone, and with it whoever was waiting.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

/// Ends a [`Patience`], by [`end`](Self::end) or when dropped.
#[derive(Debug)]
pub struct EndPatience(watch::Sender<bool>);

impl EndPatience {
    /// Nobody waits any more.
    pub fn end(&self) {
        self.0.send_replace(true);
    }
}

impl Drop for EndPatience {
    fn drop(&mut self) {
        self.end();
    }
}
