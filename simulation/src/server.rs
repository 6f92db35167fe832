use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::queue::StoreTime;
use fastrand::Rng;

use crate::event::{ClaimId, What};

/// A store, as a machine that is told the time. What passes to and from it is known to the rest of
/// the world only by how it shows, and no two requests show alike.
pub(crate) trait Server: fmt::Debug + Send + 'static {
    type Request: Clone + fmt::Debug + fmt::Display + Send + Sync + 'static;
    type Reply: Clone + fmt::Debug + fmt::Display + Send + Sync + 'static;

    /// Does what is asked. The reply bears the ticket, and may come with what is done later, or
    /// never.
    fn serve(&mut self, ticket: u64, request: &Self::Request, now: &StoreTime)
    -> Done<Self::Reply>;

    /// Drops what has expired of every name.
    fn expire(&mut self, now: &StoreTime) -> Done<Self::Reply>;

    /// Loses all it knows, or all it knows of one name. The hints and replies are for a store that
    /// tells of it.
    fn forget(&mut self, name: Option<usize>, now: &StoreTime) -> Done<Self::Reply>;

    /// Begins each TTL anew.
    fn restart_ttls(&mut self, now: &StoreTime) -> Done<Self::Reply>;

    /// For how long the hold of this number stands if nothing is heard of it; zero if it does not.
    fn backing(&self, name: usize, number: u64, now: &StoreTime) -> Duration;

    /// How many stand in the queue, held or waiting.
    fn entries(&self, name: usize) -> usize;

    /// A hint that there is no reason for, if there is anybody to give it to.
    fn false_hint(&self, rng: &mut Rng) -> Option<Hint>;
}

/// What the store did.
#[derive(Debug)]
pub(crate) struct Done<R> {
    pub(crate) happened: Vec<What>,
    pub(crate) hints: Vec<Hint>,
    /// The replies, each to the request of this ticket.
    pub(crate) replies: Vec<(u64, R)>,
}

impl<R> Default for Done<R> {
    fn default() -> Self {
        Self {
            happened: Vec::new(),
            hints: Vec::new(),
            replies: Vec::new(),
        }
    }
}

impl<R> Done<R> {
    /// This, and then that.
    pub(crate) fn append(&mut self, mut then: Self) {
        self.happened.append(&mut then.happened);
        self.hints.append(&mut then.hints);
        self.replies.append(&mut then.replies);
    }
}

/// Something that the store tells a client unasked.
#[derive(Clone)]
pub(crate) struct Hint {
    pub(crate) client: usize,
    pub(crate) label: String,
    /// The claim and number of the hold that it says is gone, if it says so.
    pub(crate) gone: Option<(ClaimId, u64)>,
    /// What is done where it arrives.
    pub(crate) arrive: Arc<dyn Fn() + Send + Sync>,
}

/// How the label of a hint ends that there is no reason for.
pub(crate) const FOR_NOTHING: &str = "for nothing";

impl fmt::Debug for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hint")
            .field("client", &self.client)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}
