use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::event::{Event, What};

/// All that happened in a run, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(Vec<Event>);

impl History {
    pub(crate) fn record(&mut self, at: Duration, what: What) {
        self.0.push(Event { at, what });
    }

    /// What happened, the earliest first.
    pub fn events(&self) -> &[Event] {
        &self.0
    }

    /// The operations that are not over, and whether each waits for its acquisition.
    pub(crate) fn unfinished(&self) -> BTreeMap<usize, bool> {
        let mut unfinished = BTreeMap::new();
        // The operations of a client that has crashed are over.
        let mut clients = BTreeMap::new();
        for Event { what, .. } in &self.0 {
            match *what {
                What::Asked { op, client, .. } => {
                    unfinished.insert(op, true);
                    clients.insert(op, client);
                }
                What::Looked { op, client, .. } | What::Settling { op, client } => {
                    unfinished.insert(op, false);
                    clients.insert(op, client);
                }
                What::Received { op, .. }
                | What::Busy { op }
                | What::Failed { op, .. }
                | What::Abandoned { op } => {
                    unfinished.insert(op, false);
                }
                What::Done { op } => {
                    unfinished.remove(&op);
                }
                What::Crashed { client } => {
                    unfinished.retain(|op, _| clients.get(op) != Some(&client));
                }
                _ => {}
            }
        }
        unfinished
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
