//! What happened to locks over time, written down as it happened, and held against the promises.
//!
//! Several processes each write a file of their own through a [`Recorder`], one line of JSON an
//! event. [`History::read`] puts the files of a folder in order, by the clock that all processes of
//! one machine share, and [`check`] says which promises were broken and which events show it:
//!
//! ```
//! use std::time::Duration;
//!
//! use distlock_conformance::history::{Event, History, Mode, Promise, Terms, What, Wish, check};
//!
//! let invoked = |op, client| What::Invoked {
//!     op,
//!     client,
//!     name: "a".to_owned(),
//!     mode: Mode::Exclusive,
//!     wish: Wish::Wait,
//!     ttl: Duration::from_secs(2),
//! };
//! let granted = |op, token| {
//!     let valid_for = Duration::from_millis(1900);
//!     What::Granted { op, token, valid_for }
//! };
//! let events = [invoked(1, 1), granted(1, 10), invoked(2, 2), granted(2, 9)];
//! let at = |(second, what)| Event { at: Duration::from_secs(second), what };
//! let history = History::new((0..).zip(events).map(at).collect());
//!
//! let findings = check(&history, &Terms::default())?;
//! assert_eq!(findings.violations[0].promise, Promise::Fencing);
//! # Ok::<(), distlock_conformance::history::Malformed>(())
//! ```
//!
//! The checker sees what users see, and what a fenced resource sees; it needs no word from inside a
//! store. It finds nothing wrong with a history that some correct store could have had. For Unix:
//! elsewhere, no clock is known that all processes share.

mod check;
mod event;
mod nanos;
mod read;
mod record;
mod terms;

pub use check::{Figures, Findings, Malformed, Promise, Verdict, check};
pub use distlock_core::Mode;
pub use event::{Effect, Event, What, Wish};
pub use read::{ReadError, cut_torn_line, read_file};
pub use record::{Recorder, now};
pub use terms::Terms;

/// Events in the order in which they happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    events: Vec<Event>,
}

impl History {
    /// These events, put in order.
    #[must_use]
    pub fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.at);
        Self { events }
    }

    /// In order; what a [`Verdict`] points at are their positions here.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}
