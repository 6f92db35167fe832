use distlock_core::Mode;
use distlock_core::backend::Signals;
use distlock_core::queue::{LockQueue, Place, StoreTime};

use crate::bug::Bug;
use crate::event::ClaimId;

/// What the store keeps of a name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) queue: LockQueue,
    /// Where readers stand who do not see writers.
    pub(super) readers: LockQueue,
    /// Who stands in the queue, in the order of their coming.
    pub(super) standing: Vec<ClaimId>,
    /// Who is told of changes.
    pub(super) listeners: Vec<(usize, Signals)>,
}

impl Named {
    pub(super) fn new(now: &StoreTime) -> Self {
        Self {
            queue: LockQueue::new(now),
            readers: LockQueue::new(now),
            standing: Vec::new(),
            listeners: Vec::new(),
        }
    }

    pub(super) fn queue(&mut self, mode: Mode, bug: Option<Bug>) -> &mut LockQueue {
        match (bug, mode) {
            (Some(Bug::ReadersBesideWriter), Mode::Shared) => &mut self.readers,
            _ => &mut self.queue,
        }
    }

    pub(super) fn place(&self, claim: ClaimId, now: &StoreTime) -> Place {
        match self.queue.place(claim.into(), now) {
            Place::Absent => self.readers.place(claim.into(), now),
            place => place,
        }
    }
}
