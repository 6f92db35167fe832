use std::fmt;
use std::sync::Mutex;

use distlock_core::Mode;
use distlock_core::backend::Signals;

use crate::line::Position;
use crate::link::lock;

/// What a claim knows of its entry, by its own looks and by what the server tells unasked.
pub(crate) struct Seat {
    key: String,
    mode: Mode,
    signals: Signals,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// A look is due, or under way. What was removed meanwhile, and by which revisions.
    Unknown(Vec<(Vec<u8>, i64)>),
    /// It waits behind these.
    Waits(Position),
    /// Those before it have gone, or there were none.
    Granted(i64),
    /// The engine has it.
    Held(i64),
}

impl Seat {
    pub(crate) fn new(key: String, mode: Mode, signals: Signals) -> Self {
        Self {
            key,
            mode,
            signals,
            state: Mutex::new(State::Unknown(Vec::new())),
        }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A look begins.
    pub(crate) fn looks(&self) {
        *lock(&self.state) = State::Unknown(Vec::new());
    }

    /// What a look has found.
    pub(crate) fn has_found(&self, mut position: Position) {
        let mut state = lock(&self.state);
        let mut is_there = true;
        if let State::Unknown(removed) = &*state {
            for (key, revision) in removed {
                position.ahead.remove(key, *revision);
                is_there &= *key != *self.key.as_bytes() || *revision < position.number;
            }
        }
        if is_there {
            *state = State::of(position, self.mode);
        }
    }

    /// The number of the grant, if it has come to that. From now on the engine has it, and is told
    /// if the entry is removed.
    pub(crate) fn take_grant(&self) -> Option<i64> {
        let mut state = lock(&self.state);
        let State::Granted(number) = *state else {
            return None;
        };
        *state = State::Held(number);
        Some(number)
    }

    /// Whether it is known to wait.
    pub(crate) fn waits(&self) -> bool {
        matches!(*lock(&self.state), State::Waits(_))
    }

    /// The number of the hold that the engine has.
    pub(crate) fn held(&self) -> Option<i64> {
        match *lock(&self.state) {
            State::Held(number) => Some(number),
            _ => None,
        }
    }

    /// The server tells that this key was removed by that revision.
    pub(crate) fn hear_removed(&self, key: &[u8], revision: i64) {
        let mut state = lock(&self.state);
        let is_own = *key == *self.key.as_bytes();
        match &mut *state {
            State::Unknown(removed) => removed.push((key.to_vec(), revision)),
            State::Held(number) => {
                if is_own && revision > *number {
                    drop(state);
                    self.signals.gone();
                }
            }
            State::Waits(Position { number, .. }) | State::Granted(number) if is_own => {
                if revision > *number {
                    *state = State::Unknown(Vec::new());
                    drop(state);
                    self.signals.look();
                }
            }
            State::Granted(_) => {}
            State::Waits(position) => {
                position.ahead.remove(key, revision);
                if position.ahead.allows(self.mode) {
                    *state = State::Granted(position.number);
                    drop(state);
                    self.signals.look();
                }
            }
        }
    }

    /// What the server has told may not be all.
    pub(crate) fn has_missed(&self) {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Held(_)) {
            *state = State::Unknown(Vec::new());
            drop(state);
            self.signals.look();
        }
    }
}

impl State {
    fn of(position: Position, mode: Mode) -> Self {
        if position.ahead.allows(mode) {
            Self::Granted(position.number)
        } else {
            Self::Waits(position)
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("key", &self.key)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
