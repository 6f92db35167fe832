use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::ErrorKind;
use distlock_core::backend::Signals;
use tokio::sync::Notify;

use super::told::{Told, WakeUps};

/// A kind of request to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// `Claim::attempt`
    Attempt,
    /// `Claim::renew`
    Renew,
    /// `Claim::release`
    Release,
    /// `Backend::inspect`
    Inspect,
}

/// Which of the requests or wake-ups to come, all claims of the client taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// The one after so many less one: `Nth(1)` is the next.
    Nth(u32),
    /// So many from the next on.
    First(u32),
    /// Every one until [`Faults::heal`].
    All,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The store never hears of it; `Unavailable`.
    LoseRequest,
    /// The store does it, but the answer is lost; `Unavailable`.
    LoseReply,
    /// It reaches the store so much later, or not at all if that is past its deadline.
    DelayRequest(Duration),
    /// The answer takes so much longer; past the deadline it is lost.
    DelayReply(Duration),
    /// The answer is read so much later, whatever the deadline, as by a process that was stopped
    /// meanwhile.
    Stall(Duration),
    /// The store never hears of it, and there is no answer until the deadline; `Unavailable`.
    Hang,
    /// The store never hears of it; this error.
    Fail(ErrorKind),
    /// The backend panics.
    Panic,
    /// If it is a grant, the store numbers it so.
    Number(u64),
    /// The store has forgotten the claim when the request arrives, as if an operator had removed
    /// it.
    Forget,
}

/// Says what goes wrong with the requests of a [`Faulty`](super::Faulty) backend, and tells what it
/// has seen.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<Script>,
    seen: Notify,
}

#[derive(Debug, Default)]
struct Script {
    planned: Vec<(Verb, Which, Fault)>,
    counts: [u32; 4],
    wake_ups: WakeUps,
    woken: u32,
    abandoned: u32,
    closed: u32,
    claims: Vec<Signals>,
}

impl Faults {
    /// From now on, this goes wrong with these requests. Of two faults for one request, the first
    /// planned wins.
    pub fn add(&self, verb: Verb, which: Which, fault: Fault) {
        self.script().planned.push((verb, which, fault));
    }

    /// From now on, nothing goes wrong any more with requests and wake-ups.
    pub fn heal(&self) {
        let mut script = self.script();
        script.planned.clear();
        script.wake_ups = WakeUps::default();
    }

    /// What becomes of the wake-ups to come.
    pub fn wake_ups(&self, wake_ups: WakeUps) {
        self.script().wake_ups = wake_ups;
    }

    /// How many requests of this kind the engine has begun.
    pub fn count(&self, verb: Verb) -> u32 {
        self.script().counts[verb as usize]
    }

    /// How many wake-ups the store has sent.
    pub fn woken(&self) -> u32 {
        self.script().woken
    }

    /// How many requests whose future was dropped before it was done. The engine drops none, unless
    /// its runtime shuts down.
    pub fn abandoned(&self) -> u32 {
        self.script().abandoned
    }

    /// How often the engine has closed the backend.
    pub fn closed(&self) -> u32 {
        self.script().closed
    }

    /// Resolves once the engine has begun so many requests of this kind.
    pub async fn seen(&self, verb: Verb, count: u32) {
        loop {
            let seen = self.0.seen.notified();
            tokio::pin!(seen);
            seen.as_mut().enable();
            if self.count(verb) >= count {
                return;
            }
            seen.await;
        }
    }

    /// Tells every claim that asking again may be answered differently, which need not be true.
    pub fn tell_look(&self) {
        self.claims().iter().for_each(Signals::look);
    }

    /// Tells every claim that the store says it is gone, whether it is or not.
    pub fn tell_gone(&self) {
        self.claims().iter().for_each(Signals::gone);
    }

    /// Notes a request, and says what is to go wrong with it.
    pub(super) fn strike(&self, verb: Verb) -> Option<Fault> {
        let mut script = self.script();
        script.counts[verb as usize] += 1;
        let mut struck = None;
        script.planned.retain_mut(|(of, which, fault)| {
            if *of != verb {
                return true;
            }
            if which.strikes() {
                struck = struck.or(Some(*fault));
            }
            !which.is_over()
        });
        drop(script);
        self.0.seen.notify_waiters();
        struck
    }

    /// Does a request to its end, or notes that it was abandoned.
    pub(super) async fn follow<T>(&self, request: impl Future<Output = T>) -> T {
        let mut underway = Underway {
            faults: self,
            is_done: false,
        };
        let output = request.await;
        underway.is_done = true;
        output
    }

    /// Notes that the engine has closed the backend.
    pub(super) fn note_close(&self) {
        self.script().closed += 1;
    }

    /// Notes a wake-up, and says what is to become of it.
    pub(super) fn strike_wake_up(&self) -> Told {
        let mut script = self.script();
        script.woken += 1;
        script.wake_ups.strike()
    }

    /// Notes a new claim's signals, and says what is to become of its wake-ups.
    pub(super) fn enlist(&self, signals: &Signals) -> WakeUps {
        let mut script = self.script();
        script.claims.retain(|claim| !claim.is_closed());
        script.claims.push(signals.clone());
        script.wake_ups
    }

    fn claims(&self) -> Vec<Signals> {
        // Not under the lock: what a claim does when it is told may well lead back here.
        self.script().claims.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is not done yet.
struct Underway<'a> {
    faults: &'a Faults,
    is_done: bool,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.is_done && !std::thread::panicking() {
            self.faults.script().abandoned += 1;
        }
    }
}

impl Which {
    /// Counts one that comes; whether it is meant.
    pub(super) fn strikes(&mut self) -> bool {
        match self {
            Self::All => true,
            Self::Nth(left) => {
                let strikes = *left == 1;
                *left = left.saturating_sub(1);
                strikes
            }
            Self::First(left) => {
                let strikes = *left > 0;
                *left = left.saturating_sub(1);
                strikes
            }
        }
    }

    /// Whether none to come is meant any more.
    fn is_over(self) -> bool {
        matches!(self, Self::Nth(0) | Self::First(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault::Hang;

    fn struck(faults: &Faults, requests: usize) -> Vec<bool> {
        (0..requests)
            .map(|_| faults.strike(Verb::Renew).is_some())
            .collect()
    }

    #[test]
    fn strikes_the_requests_that_are_meant_and_no_others() {
        for (which, expected) in [
            (Which::Nth(1), [true, false, false, false]),
            (Which::Nth(3), [false, false, true, false]),
            (Which::First(2), [true, true, false, false]),
            (Which::First(0), [false; 4]),
            (Which::All, [true; 4]),
        ] {
            let faults = Faults::default();
            faults.add(Verb::Renew, which, FAULT);
            assert_eq!(faults.strike(Verb::Attempt), None, "another verb");
            assert_eq!(struck(&faults, 4), expected, "{which:?}");
            assert_eq!(
                (faults.count(Verb::Renew), faults.count(Verb::Attempt)),
                (4, 1)
            );
        }
    }

    #[test]
    fn strikes_the_wake_ups_that_are_meant_and_no_others() {
        let late = Duration::from_secs(1);
        for (wake_ups, expected) in [
            (
                WakeUps::Lost(Which::Nth(2)),
                [Told::Now, Told::Never, Told::Now],
            ),
            (
                WakeUps::Late(Which::First(1), late),
                [Told::After(late), Told::Now, Told::Now],
            ),
            (WakeUps::Lost(Which::All), [Told::Never; 3]),
            (WakeUps::Spurious(late), [Told::Now; 3]),
        ] {
            let faults = Faults::default();
            faults.wake_ups(wake_ups);
            assert_eq!(
                [(); 3].map(|()| faults.strike_wake_up()),
                expected,
                "{wake_ups:?}"
            );
            assert_eq!(faults.woken(), 3);
        }
    }

    #[test]
    fn nothing_goes_wrong_once_healed() {
        let faults = Faults::default();
        faults.add(Verb::Renew, Which::All, FAULT);
        faults.heal();
        assert_eq!(struck(&faults, 2), [false; 2]);
    }
}
