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

    /// As stores keep a record: in writing. A record that contradicts itself cannot be read.
    ///
    /// # Panics
    /// If it cannot be read as it was.
    pub(super) fn write_and_read(&mut self) {
        for queue in [&mut self.queue, &mut self.readers] {
            let read = LockQueue::from_json(queue.to_json()).expect("a record that can be read");
            assert_eq!(read, *queue, "a record, read as it was written");
            *queue = read;
        }
    }

    pub(super) fn place(&self, claim: ClaimId, now: &StoreTime) -> Place {
        match self.queue.place(claim.into(), now) {
            Place::Absent => self.readers.place(claim.into(), now),
            place => place,
        }
    }
}
