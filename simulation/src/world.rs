use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::Guard;
use tokio::time::Instant;

use crate::event::{ClaimId, What};
use crate::guards::{Guards, Kept};
use crate::history::History;
use crate::plan::Plan;

/// What clients and store have in common: the time, the guards that users have, and the record of
/// what happens.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    guards: Guards,
    history: History,
    /// How many claims each client has made.
    claims: Vec<usize>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        let claims = vec![0; plan.clients.len()];
        Arc::new(Self {
            plan,
            began: Instant::now(),
            state: Mutex::new(State {
                guards: Guards::default(),
                history: History::default(),
                claims,
            }),
        })
    }

    /// The time since the run began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.now() >= self.plan.heals_at
    }

    pub(crate) fn record(&self, what: What) {
        self.state().history.record(self.now(), what);
    }

    pub(crate) fn take_history(&self) -> History {
        std::mem::take(&mut self.state().history)
    }

    /// The id of a new claim: a number rather than chance, so that a seed says all.
    pub(crate) fn new_claim(&self, client: usize) -> ClaimId {
        let number = &mut self.state().claims[client];
        *number += 1;
        ClaimId {
            client,
            number: *number,
            session: 0,
        }
    }

    /// A user gets a guard.
    pub(crate) fn receive(
        &self,
        op: usize,
        client: usize,
        name: usize,
        guard: Guard,
    ) -> Arc<Guard> {
        let number = guard.token().number();
        let guard = Arc::new(guard);
        self.note_received(op, name, number, Some(guard.valid_for()));
        let kept = Kept {
            client,
            name,
            guard: Arc::clone(&guard),
            is_unbacked: false,
        };
        self.state().guards.add(op, kept);
        guard
    }

    /// An acquisition is granted.
    pub(crate) fn note_received(
        &self,
        op: usize,
        name: usize,
        number: u64,
        valid_for: Option<Duration>,
    ) {
        let mut state = self.state();
        let beside = state.guards.valid(name);
        let received = What::Received {
            op,
            number,
            valid_for,
            beside,
        };
        state.history.record(self.now(), received);
    }

    /// The user gives up its guard. `None` if the client has crashed and has none.
    pub(crate) fn give_up(&self, op: usize) -> Option<()> {
        let guard = self.state().guards.take(op)?;
        self.note_given_up(op, &guard);
        Some(())
    }

    /// A client has crashed. The release of its guards goes nowhere: it sends nothing any more.
    pub(crate) fn drop_guards_of(&self, client: usize) {
        let guards = self.state().guards.take_of(client);
        for (op, guard) in guards {
            self.note_given_up(op, &guard);
        }
    }

    fn note_given_up(&self, op: usize, guard: &Guard) {
        let valid = guard.is_held();
        self.record(What::GivenUp { op, valid });
    }

    /// Notes which guards count themselves valid for longer than the store keeps their holds.
    pub(crate) fn hold_against(&self, backing: impl Fn(usize, u64) -> Duration) {
        let mut state = self.state();
        for (op, by) in state.guards.unbacked(backing) {
            state.history.record(self.now(), What::Unbacked { op, by });
        }
    }

    /// Notes the operations that are not over.
    pub(crate) fn note_unfinished(&self) {
        let mut state = self.state();
        let unfinished = state.history.unfinished();
        for (op, waits) in unfinished {
            let what = if waits {
                What::Starved { op }
            } else {
                What::Hung { op }
            };
            state.history.record(self.now(), what);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
