use std::collections::{HashSet, VecDeque};

use distlock_core::{Deadline, Result};
use tokio::sync::oneshot;

use crate::write::{Write, Written};

/// A write that waits to go out together with others.
pub(crate) struct Waiting {
    pub(crate) write: Write,
    pub(crate) by: Deadline,
    pub(crate) outcome: oneshot::Sender<Outcome>,
}

/// What comes of a write that has waited.
pub(crate) enum Outcome {
    Answer(Result<Written>),
    /// Nothing was done: its sender is to see to it.
    Back(Write),
}

/// Those that wait, in the order in which they came.
#[derive(Default)]
pub(crate) struct Queue(VecDeque<Waiting>);

impl Waiting {
    /// Whether nobody waits for it any more.
    fn is_given_up(&self) -> bool {
        self.outcome.is_closed() || self.by.remaining().is_zero()
    }

    pub(crate) fn comes_to(self, answer: Result<Written>) {
        // An error means that nobody waits for it any more.
        let _ = self.outcome.send(Outcome::Answer(answer));
    }

    pub(crate) fn goes_back(self) {
        let _ = self.outcome.send(Outcome::Back(self.write));
    }
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.0.push_back(waiting);
    }

    /// Those that go out next, so many at the most, and one of each name: all that a transaction
    /// makes has one revision, and the order of a line is that of revisions.
    pub(crate) fn next(&mut self, most: usize) -> Vec<Waiting> {
        let (mut next, mut names) = (Vec::new(), HashSet::new());
        let mut others = VecDeque::new();
        for waiting in self.0.drain(..).filter(|waiting| !waiting.is_given_up()) {
            if next.len() < most && names.insert(waiting.write.name().clone()) {
                next.push(waiting);
            } else {
                others.push_back(waiting);
            }
        }
        self.0 = others;
        next
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use distlock_core::Name;

    use super::*;
    use crate::keys::Folder;

    const LONG: Duration = Duration::from_secs(60);

    fn push(
        queue: &mut Queue,
        name: &str,
        key: &str,
        limit: Duration,
    ) -> oneshot::Receiver<Outcome> {
        let name = Folder::of(&Name::new(name).unwrap());
        let (outcome, receiver) = oneshot::channel();
        queue.push(Waiting {
            write: Write::Leave(name, key.to_owned()),
            by: Deadline::within(limit),
            outcome,
        });
        receiver
    }

    fn next(queue: &mut Queue, most: usize) -> Vec<String> {
        let next = queue.next(most).into_iter();
        next.map(|waiting| match waiting.write {
            Write::Leave(_, key) => key,
            _ => unreachable!("all are to leave"),
        })
        .collect()
    }

    #[test]
    fn those_of_one_name_go_one_after_another() {
        let mut queue = Queue::default();
        let keys = [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("c", "5")];
        let _receivers = keys.map(|(name, key)| push(&mut queue, name, key, LONG));
        assert_eq!(next(&mut queue, 9), ["1", "3", "5"]);
        assert_eq!(next(&mut queue, 9), ["2"]);
        assert_eq!(next(&mut queue, 9), ["4"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn no_more_go_than_are_taken_and_none_is_overtaken() {
        let mut queue = Queue::default();
        let keys = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        let _receivers = keys.map(|(name, key)| push(&mut queue, name, key, LONG));
        assert_eq!(next(&mut queue, 2), ["1", "2"]);
        assert_eq!(next(&mut queue, 1), ["3"]);
        assert_eq!(next(&mut queue, 2), ["4"]);
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent() {
        let mut queue = Queue::default();
        drop(push(&mut queue, "a", "1", LONG));
        let late = push(&mut queue, "b", "2", Duration::ZERO);
        let _receiver = push(&mut queue, "a", "3", LONG);
        assert_eq!(next(&mut queue, 9), ["3"]);
        assert!(late.blocking_recv().is_err());
    }
}
