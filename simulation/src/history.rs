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

    /// How many guards were received.
    pub fn grants(&self) -> usize {
        self.0
            .iter()
            .filter(|event| matches!(event.what, What::Received { .. }))
            .count()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
