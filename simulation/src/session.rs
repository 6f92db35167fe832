use std::sync::Arc;

use distlock_core::backend::{ClaimRequest, Signals};

use crate::message::Reply;

/// What the store remembers of a claim, so that what comes late or twice does no harm.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: usize,
    pub(crate) name: usize,
    pub(crate) request: Arc<ClaimRequest>,
    /// The latest request that was done, and what it was answered.
    pub(crate) sequence: u32,
    pub(crate) reply: Option<Reply>,
    /// Whether it stands in the queue, so that its coming and going is told.
    pub(crate) stands: bool,
    /// The number of its grant, once it has one.
    pub(crate) number: Option<u64>,
}

impl Session {
    pub(crate) fn signals(&self) -> &Signals {
        &self.request.signals
    }
}
