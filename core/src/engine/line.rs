use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Engine;
use super::live::LiveClaim;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::sync::{Mutex, MutexGuard, oneshot};

/// From this length on, a line is looked through now and then for those who have given up.
const CROWD: usize = 64;

/// The local lines: of the waiters of one process for one name, one at a time stands in the store's
/// line.
///
/// Whoever has the [`Turn`] may wait in the store; the others queue here, in order, at no cost to
/// the store. The turn goes on as soon as its owner is granted, so the next joins while the holder
/// still holds.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// A name is here while somebody has its turn.
    waiting: Mutex<HashMap<Name, VecDeque<Queued>>>,
}

/// One that waits for its turn.
#[derive(Debug)]
struct Queued {
    turn: oneshot::Sender<Result<Turn>>,
    since: Moment,
    /// For how long it puts up with a store that does not answer.
    patience: Duration,
}

/// The right to wait in the store for one name. Dropped, it goes to the next in the local line.
#[derive(Debug)]
pub(crate) struct Turn {
    lines: Arc<Lines>,
    name: Name,
    /// A claim that stands in the store's line and whose user gave up: its place is the next one's.
    inherited: Option<LiveClaim>,
    /// Since when the store has left those who had the turn before unanswered, if it has.
    pub(super) silent_since: Option<Moment>,
    over: bool,
}

impl Lines {
    /// Waits for the turn, behind all who asked before. The error is that of a store which answered
    /// nobody for as long as `patience`.
    pub(crate) async fn turn(self: &Arc<Self>, name: &Name, patience: Duration) -> Result<Turn> {
        let receiver = match self.waiting().entry(name.clone()) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                return Ok(Turn::new(self, name));
            }
            Entry::Occupied(mut line) => {
                let (turn, receiver) = oneshot::channel();
                let since = Moment::now();
                let line = line.get_mut();
                line.push_back(Queued {
                    turn,
                    since,
                    patience,
                });
                // Those who gave up are passed over when their turn comes; if that takes long, they
                // are not to pile up.
                if line.len() >= CROWD && line.len().is_power_of_two() {
                    line.retain(|queued| !queued.turn.is_closed());
                }
                receiver
            }
        };
        // Whoever has a turn passes it on, also when it panics; only with the runtime does the line
        // end.
        receiver.await.unwrap_or_else(|_| Err(Engine::gone()))
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Name, VecDeque<Queued>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next in line, or `None`, which ends the line.
    fn next(&self, name: &Name) -> Option<Queued> {
        let mut waiting = self.waiting();
        let next = waiting.get_mut(name).and_then(VecDeque::pop_front);
        if next.is_none() {
            waiting.remove(name);
        }
        next
    }
}

impl Turn {
    fn new(lines: &Arc<Lines>, name: &Name) -> Self {
        Self {
            lines: Arc::clone(lines),
            name: name.clone(),
            inherited: None,
            silent_since: None,
            over: false,
        }
    }

    /// Tells those in the local line whose patience with a silent store has ended as well, and
    /// notes for the others since when it is silent: they are not to find out one after the other.
    pub(crate) fn store_is_silent(&mut self, since: Moment, error: &Error) {
        self.silent_since = Some(since);
        let mut impatient = VecDeque::new();
        if let Some(line) = self.lines.waiting().get_mut(&self.name) {
            let (ended, patient) = std::mem::take(line)
                .into_iter()
                .partition(|queued| queued.since.elapsed() >= queued.patience);
            (impatient, *line) = (ended, patient);
        }
        for queued in impatient {
            // Whoever has given up meanwhile needs no error.
            drop(queued.turn.send(Err(error.clone())));
        }
    }

    /// The claim that the one before left standing, if any.
    pub(crate) fn inherit(&mut self) -> Option<LiveClaim> {
        self.inherited.take()
    }

    /// Gives the turn, and the claim's place in the store's line, to the next in the local line.
    /// If nobody waits there, the claim comes back.
    pub(crate) fn pass(mut self, standing: Option<LiveClaim>) -> Option<LiveClaim> {
        self.inherited = standing;
        self.hand_on()
    }

    fn hand_on(&mut self) -> Option<LiveClaim> {
        self.over = true;
        let mut standing = self.inherited.take();
        while let Some(next) = self.lines.next(&self.name) {
            let mut turn = Self::new(&self.lines, &self.name);
            turn.inherited = standing.take();
            turn.silent_since = self.silent_since;
            match next.turn.send(Ok(turn)) {
                // It has given up. Its turn is not to be passed on by its drop: that is being done
                // here.
                Err(Ok(mut refused)) => {
                    standing = refused.inherited.take();
                    refused.over = true;
                }
                _ => return None,
            }
        }
        standing
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            drop(self.hand_on());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn name() -> Name {
        Name::new("a").unwrap()
    }

    #[tokio::test]
    async fn one_at_a_time_in_order_and_past_those_who_gave_up() {
        let lines = Arc::new(Lines::default());
        let first = lines.turn(&name(), PATIENCE).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let mut unlucky = None;
        for number in 0..4 {
            let (lines, order) = (Arc::clone(&lines), Arc::clone(&order));
            let task = tasks.spawn(async move {
                let _turn = lines.turn(&name(), PATIENCE).await.unwrap();
                order.lock().unwrap().push(number);
            });
            if number == 1 {
                unlucky = Some(task);
            }
            tokio::task::yield_now().await;
        }
        unlucky.unwrap().abort();
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty());
        assert!(first.pass(None).is_none());
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), [0, 2, 3]);
        assert!(lines.waiting().is_empty(), "an idle name costs nothing");
    }

    #[tokio::test]
    async fn a_turn_that_nobody_receives_goes_on() {
        let lines = Arc::new(Lines::default());
        let name = name();
        let first = lines.turn(&name, PATIENCE).await.unwrap();
        let mut unlucky = Box::pin(lines.turn(&name, PATIENCE));
        assert!(poll_once(&mut unlucky).is_pending());
        drop(first);
        drop(unlucky);
        lines.turn(&name, PATIENCE).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_store_is_told_to_all_who_have_waited_too_long_and_to_nobody_else() {
        let lines = Arc::new(Lines::default());
        let name = name();
        let began = Moment::now();
        let mut first = lines.turn(&name, PATIENCE).await.unwrap();
        let mut early = Box::pin(lines.turn(&name, PATIENCE));
        let mut patient = Box::pin(lines.turn(&name, 2 * PATIENCE));
        assert!(poll_once(&mut early).is_pending() && poll_once(&mut patient).is_pending());
        tokio::time::advance(PATIENCE).await;
        let mut late = Box::pin(lines.turn(&name, PATIENCE));
        assert!(poll_once(&mut late).is_pending());

        first.store_is_silent(began, &Error::new(crate::ErrorKind::Unavailable, "silent"));
        assert!(early.await.is_err());
        assert!(poll_once(&mut late).is_pending());
        assert!(first.pass(None).is_none());
        let next = patient.await.unwrap();
        assert_eq!(
            next.silent_since,
            Some(began),
            "it need not find out from the beginning"
        );
        drop(next);
        late.await.unwrap();
    }

    #[tokio::test]
    async fn those_who_gave_up_do_not_pile_up() {
        let lines = Arc::new(Lines::default());
        let name = name();
        let _turn = lines.turn(&name, PATIENCE).await.unwrap();
        for _ in 0..10_000 {
            let mut gives_up = Box::pin(lines.turn(&name, PATIENCE));
            assert!(poll_once(&mut gives_up).is_pending());
        }
        assert!(lines.waiting()[&name].len() <= CROWD);
    }

    fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(future).poll(&mut context)
    }
}
