use std::fmt;
use std::time::Duration;

use distlock_core::{Guard, Locks};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::ask::{Ask, Asked};
use super::place::Place;
use crate::context::{Context, soon, within};
use crate::failure::{Failure, Outcome};
use crate::faults::{Fault, Faults, Verb, Which};
use crate::form::Form;
use crate::polling::poll_once;

/// Polls a future k times and drops it, for every k until it completes, and looks each time for
/// what the store still has of it: a TTL that is too long to have passed leaves nothing to chance.
#[derive(Clone)]
pub(super) struct Sweep {
    cx: Context,
    /// Of the future that is dropped.
    locks: Locks,
    faults: Faults,
    /// Of whoever is in the way.
    other: Locks,
    ask: Ask,
    form: Form,
    line: Line,
    place: Place,
    pace: Duration,
    trouble: Option<Trouble>,
}

/// Who else is interested in the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nobody.
    Free,
    /// Another holds it all the while; behind a hold of one's own, another waits.
    Contended,
    /// Another that holds it lets go of it while the future is being polled.
    InFlight,
}

/// A client, and what goes wrong with its requests.
pub(super) type Client = (Locks, Faults);

/// A client that the case's runtime drives.
pub(super) async fn here(cx: Context) -> distlock_core::Result<Client> {
    cx.faulty().await
}

/// A client with a thread of its own.
pub(super) async fn on_own_thread(cx: Context) -> distlock_core::Result<Client> {
    cx.faulty_on_own_thread().await
}

/// What goes wrong with which of the requests of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) verb: Verb,
    pub(super) which: Which,
    pub(super) fault: Fault,
}

/// What came of one number of polls.
struct Round {
    /// More polls would tell no more.
    was_last: bool,
    /// How often the verb was asked that was to go wrong.
    troubled: u32,
}

/// How far apart polls are where something takes its time.
const SLOW: Duration = Duration::from_millis(4);
/// How far apart polls are once there are many.
const STEADY: Duration = Duration::from_millis(1);
/// A future in a line that does not move has told all it can after so many attempts; or polls,
/// where the first attempt waits on the server.
const ATTEMPTS: u32 = 4;
const POLLS: u32 = 8;

impl Line {
    pub(super) const ALL: [Self; 3] = [Self::Free, Self::Contended, Self::InFlight];

    /// Whether a future of this kind meets this line at all.
    pub(super) fn suits(self, ask: Ask) -> bool {
        self != Self::InFlight || !ask.holds()
    }

    /// Whether somebody who waits is served in each round.
    pub(super) fn hands_over(self, ask: Ask) -> bool {
        match self {
            Self::Free => false,
            Self::Contended => ask.holds(),
            Self::InFlight => true,
        }
    }
}

impl Sweep {
    /// In a task and untroubled, over this client and another.
    pub(super) fn new(
        cx: &Context,
        (locks, faults): Client,
        other: &Locks,
        ask: Ask,
        form: Form,
        line: Line,
    ) -> Self {
        let pace = match ask.takes_time() {
            true => SLOW,
            false => Duration::ZERO,
        };
        Self {
            cx: cx.clone(),
            locks,
            faults,
            other: other.clone(),
            ask,
            form,
            line,
            place: Place::Task,
            pace,
            trouble: None,
        }
    }

    pub(super) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Polls so seldom that the trouble shows.
    pub(super) fn through(self, trouble: Trouble) -> Self {
        Self {
            trouble: Some(trouble),
            pace: SLOW,
            ..self
        }
    }

    /// How often, at most, the verb was asked that was to go wrong.
    pub(super) async fn run(self) -> Result<u32, Failure> {
        let (mut polls, mut troubled) = (0, 0);
        loop {
            let what = format!("the end of {self}, dropped after {polls} polls");
            let round = within(self.cx.case_limit(), &what, self.round(polls)).await??;
            troubled = troubled.max(round.troubled);
            if round.was_last {
                return Ok(troubled);
            }
            assert!(polls < 1_000_000, "{self} does not end");
            // Every number at first, then half as many again, so that a slow store costs thousands
            // of polls and not their square.
            polls += match polls {
                0..8 => 1,
                many => many / 2,
            };
        }
    }

    async fn round(&self, polls: u32) -> Result<Round, Failure> {
        let Self { cx, locks, ask, .. } = self;
        let name = cx.name();
        let own = match ask.holds() {
            true => Some(self.form.acquire(locks, &name).await?),
            false => None,
        };
        let mut others = Others::gather(self, &name).await?;
        let attempts = self.faults.count(Verb::Attempt);
        let troubled = self.plan_trouble();

        let mut asked = ask.of(self.form, locks, &name, own);
        if self.line == Line::InFlight {
            if ask.waits() {
                assert!(poll_once(&mut asked).await.is_pending());
                cx.until_waiting(&name, 1).await?;
            }
            others.let_go();
        }
        // Whatever took no longer than so many polls in a row has been met; a store that is further
        // away is to be met as well, and in reasonable time.
        let pace = match polls {
            0..32 => self.pace,
            _ => self.pace.max(STEADY),
        };
        let outcome = self
            .place
            .poll_and_drop(cx, self.poked(asked), polls, pace)
            .await?;

        soon("withdrawals", locks.settle()).await?;
        others.go(self, &name).await?;
        let state = cx.state(&name).await?;
        assert!(
            state.is_free(),
            "after {polls} polls of {self} something is left: {state:?}"
        );
        assert_eq!(
            self.faults.abandoned(),
            0,
            "after {polls} polls of {self}: requests dropped half-way, whose outcome nobody knows"
        );
        let troubled = self
            .trouble
            .map_or(0, |trouble| self.faults.count(trouble.verb) - troubled);
        self.faults.heal();
        let completed = outcome.is_some();
        if let Some(Err(error)) = outcome {
            assert_eq!(
                Some(error.kind()),
                ask.may_fail_with(),
                "after {polls} polls of {self}: {error}"
            );
        }
        let attempts = self.faults.count(Verb::Attempt) - attempts;
        let has_told_all = attempts >= ATTEMPTS
            || cx.capabilities().waits_on_server && attempts > 0 && polls >= POLLS;
        Ok(Round {
            was_last: completed
                || self.line == Line::Contended && has_told_all
                || ask.is_told_by(polls),
            troubled,
        })
    }

    /// In a line that does not move nothing else has a future ask again.
    fn poked(&self, mut asked: Asked) -> Asked {
        if self.line != Line::Contended {
            return asked;
        }
        let faults = self.faults.clone();
        Box::pin(std::future::poll_fn(move |context| {
            faults.tell_look();
            asked.as_mut().poll(context)
        }))
    }

    /// How often the verb was asked before.
    fn plan_trouble(&self) -> u32 {
        self.trouble.map_or(0, |trouble| {
            self.faults.add(trouble.verb, trouble.which, trouble.fault);
            self.faults.count(trouble.verb)
        })
    }
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ask,
            form,
            line,
            place,
            trouble,
            ..
        } = self;
        write!(f, "{ask:?} ({form:?}, {line:?}, {place:?}, {trouble:?})")
    }
}

/// How much of the store's time a sweep takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// All that it can get.
    Busy = 4,
    /// It mostly waits for what goes wrong.
    Idle = 1,
}

/// Does all of this at the same time, but for so much at most, of all cases taken together: a store
/// with a single writer serves other cases as well.
pub(super) async fn together<F>(load: Load, sweeps: Vec<F>) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    static AT_ONCE: Semaphore = Semaphore::const_new(8);
    let mut running = JoinSet::new();
    for sweep in sweeps {
        let permit = AT_ONCE.acquire_many(load as u32).await?;
        while let Some(ended) = running.try_join_next() {
            ended??;
        }
        running.spawn(async move {
            let ended = sweep.await;
            drop(permit);
            ended
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// The others who are interested in the lock.
#[derive(Default)]
struct Others {
    holder: Option<Guard>,
    waiter: Option<JoinHandle<distlock_core::Result<Guard>>>,
}

impl Others {
    async fn gather(sweep: &Sweep, name: &str) -> Result<Self, Failure> {
        let mut others = Self::default();
        if sweep.line == Line::Free {
            return Ok(others);
        }
        let acquire = sweep.form.opposite().acquire(&sweep.other, name);
        if sweep.ask.holds() {
            others.waiter = Some(tokio::spawn(acquire));
            sweep.cx.until_waiting(name, 1).await?;
        } else {
            others.holder = Some(acquire.await?);
        }
        Ok(others)
    }

    fn let_go(&mut self) {
        self.holder = None;
    }

    /// Whoever holds the lock is still the only one, whoever waits for it is served; then they go.
    async fn go(self, sweep: &Sweep, name: &str) -> Outcome {
        let holder = match (self.holder, self.waiter) {
            (Some(holder), _) => Some(holder),
            (None, Some(waiter)) => Some(soon("the lock for who waits", waiter).await???),
            (None, None) => None,
        };
        if let Some(holder) = holder {
            sweep.cx.only_holder(name, holder.token()).await?;
            holder.release().await?;
        }
        soon("a release", sweep.other.settle()).await?;
        Ok(())
    }
}
