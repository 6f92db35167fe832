use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::locker::{Mode, Seat};

/// Of so many operations of readers and writers, one writes.
const A_WRITER_IN: usize = 10;

/// What tasks do in a round, over and over: acquire, hold, release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// How many, each with what it needs to reach the store by itself.
    pub clients: usize,
    /// How many in all. They are dealt out to the clients.
    pub tasks: usize,
    /// Of which names.
    pub names: Names,
    /// In which modes.
    pub kind: Kind,
    /// For how long; not at all if this is zero.
    pub hold: Duration,
}

/// Which names tasks want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    /// Each another.
    Apart,
    /// All the same.
    One,
}

/// What names stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One holder.
    Mutex,
    /// Many readers or one writer; nine of ten acquisitions read.
    ReadersWriters,
    /// So many holders.
    Semaphore(u32),
}

impl Workload {
    /// So many tasks of one client, on a name each.
    #[must_use]
    pub const fn apart(tasks: usize) -> Self {
        Self {
            clients: 1,
            tasks,
            names: Names::Apart,
            kind: Kind::Mutex,
            hold: Duration::ZERO,
        }
    }

    /// So many clients that want one name.
    #[must_use]
    pub const fn contended(clients: usize) -> Self {
        Self {
            clients,
            tasks: clients,
            names: Names::One,
            kind: Kind::Mutex,
            hold: Duration::ZERO,
        }
    }

    /// Whether it is told how often a name changes its owner, which it does if several want it.
    #[must_use]
    pub fn counts_changes(&self) -> bool {
        self.names == Names::One && self.kind == Kind::Mutex && self.tasks > 1
    }

    /// Where a task sits.
    pub(crate) fn seat(&self, task: usize) -> Seat {
        let kind = match self.kind {
            Kind::Mutex => "mutex",
            Kind::ReadersWriters => "rw",
            Kind::Semaphore(_) => "semaphore",
        };
        Seat {
            client: task % self.clients,
            place: match self.names {
                Names::Apart => 0,
                Names::One => task / self.clients,
            },
            name: match self.names {
                Names::Apart => format!("{kind}/{task}"),
                Names::One => kind.to_owned(),
            },
            kind: self.kind,
        }
    }

    /// In which mode a task acquires for the so-manieth time.
    pub(crate) fn mode(&self, task: usize, time: usize) -> Mode {
        match self.kind {
            Kind::Mutex => Mode::Exclusive,
            Kind::ReadersWriters if (task + time).is_multiple_of(A_WRITER_IN) => Mode::Exclusive,
            Kind::ReadersWriters => Mode::Shared,
            Kind::Semaphore(_) => Mode::Permit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_ten_acquisitions_writes() {
        let workload = Workload {
            kind: Kind::ReadersWriters,
            ..Workload::contended(16)
        };
        for task in 0..workload.tasks {
            let modes = (0..100).map(|time| workload.mode(task, time));
            let writes = modes.filter(|mode| *mode == Mode::Exclusive).count();
            assert_eq!(writes, 10, "of task {task}");
        }
    }

    #[test]
    fn contenders_want_one_name_and_others_a_name_each() {
        let contended = Workload {
            tasks: 5,
            ..Workload::contended(2)
        };
        let seats: Vec<_> = (0..5).map(|task| contended.seat(task)).collect();
        let places: Vec<_> = seats.iter().map(|seat| (seat.client, seat.place)).collect();
        assert_eq!(places, [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]);
        assert!(seats.iter().all(|seat| seat.name == seats[0].name));

        let apart = Workload::apart(2);
        assert_ne!(apart.seat(0).name, apart.seat(1).name);
        assert_eq!(apart.seat(1).client, 0);
    }
}
