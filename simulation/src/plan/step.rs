use std::time::Duration;

use distlock_core::Mode;
use fastrand::Rng;

/// One thing that a worker does.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its number, which no other step has.
    pub(crate) op: usize,
    /// How long the worker waits before it.
    pub(crate) pause: Duration,
    pub(crate) name: usize,
    pub(crate) act: Act,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Acquires, uses and gives up a guard.
    Hold(Holding),
    /// Runs work of this length under the lock.
    Run {
        length: Duration,
        /// After how long it is dropped, if it is not done.
        abandoned: Option<Duration>,
    },
    /// Looks who holds the name.
    Inspect,
    /// Follows for so long who holds the name.
    Watch(Duration),
    /// Waits until all that was dropped is released.
    Settle,
}

#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) mode: Mode,
    pub(crate) way: Way,
    pub(crate) max_hold: Option<Duration>,
    /// What is done with the guard, one thing after the other.
    pub(crate) uses: Vec<Use>,
    /// Whether it is given up when it is lost.
    pub(crate) heeds_loss: bool,
    pub(crate) end: End,
}

/// How an acquisition goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// It does not wait.
    Try,
    /// It waits.
    Wait,
    /// It waits for so long.
    Within(Duration),
    /// It waits, and is dropped after so long.
    AbandonedAfter(Duration),
    /// It waits, and is dropped when it has been polled so often.
    AbandonedAtPoll(u32),
}

/// What is done with a guard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Use {
    /// Nothing for so long, but that its loss is listened for.
    Keep(Duration),
    /// Work of this length that ends with the hold.
    Work(Duration),
    /// It is to be valid for this long, for which the caller waits at most so long.
    Ensure(Duration, Duration),
}

/// How a guard is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Drop,
    ReleaseUnawaited,
    Release,
}

impl Act {
    /// What somebody with this TTL does with a name that is held in these modes.
    pub(crate) fn draw(rng: &mut Rng, modes: &[Mode], ttl: Duration) -> Self {
        let mode = modes[rng.usize(0..modes.len())];
        match rng.u32(0..16) {
            0 => Self::Inspect,
            1 => Self::Watch(ttl.mul_f64(rng.f64())),
            2 => Self::Settle,
            3 | 4 if mode == Mode::Exclusive => Self::Run {
                length: some_of(ttl, rng),
                abandoned: (rng.u32(0..3) == 0).then(|| ttl.mul_f64(2.0 * rng.f64())),
            },
            _ => Self::Hold(Holding::draw(rng, mode, ttl)),
        }
    }
}

impl Holding {
    fn draw(rng: &mut Rng, mode: Mode, ttl: Duration) -> Self {
        let uses = (0..rng.usize(1..=3)).map(|_| Use::draw(rng, ttl)).collect();
        Self {
            mode,
            way: Way::draw(rng, ttl),
            max_hold: (rng.u32(0..8) == 0).then(|| ttl.mul_f64(0.1 + 1.5 * rng.f64())),
            uses,
            heeds_loss: rng.bool(),
            end: match rng.u32(0..3) {
                0 => End::Drop,
                1 => End::ReleaseUnawaited,
                _ => End::Release,
            },
        }
    }
}

impl Way {
    fn draw(rng: &mut Rng, ttl: Duration) -> Self {
        match rng.u32(0..9) {
            0 | 1 => Self::Try,
            2..=4 => Self::Wait,
            5 => Self::Within(ttl.mul_f64(2.0 * rng.f64())),
            6 => Self::AbandonedAfter(ttl.mul_f64(rng.f64())),
            7 => Self::AbandonedAfter(Duration::from_millis(rng.u64(0..12))),
            _ => Self::AbandonedAtPoll(rng.u32(0..4)),
        }
    }
}

impl Use {
    fn draw(rng: &mut Rng, ttl: Duration) -> Self {
        match rng.u32(0..4) {
            0 | 1 => Self::Keep(some_of(Self::longest(ttl), rng)),
            2 => Self::Work(some_of(Self::longest(ttl), rng)),
            // Often dropped while the renewal that it begins is under way.
            _ => Self::Ensure(
                ttl.mul_f64(0.95 * rng.f64().sqrt()),
                if rng.bool() {
                    Duration::from_millis(rng.u64(0..6))
                } else {
                    ttl
                },
            ),
        }
    }

    /// Nothing done with a guard takes longer.
    pub(crate) fn longest(ttl: Duration) -> Duration {
        ttl.mul_f64(2.0)
    }
}

/// A random part of it, most often a small one.
fn some_of(most: Duration, rng: &mut Rng) -> Duration {
    most.mul_f64(rng.f64().powi(2))
}
