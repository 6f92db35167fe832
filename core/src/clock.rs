//! Two kinds of time: [`Moment`] for what a hold is worth, [`Deadline`] for how long a request may
//! take.

use std::ops::Add;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// An instant of a clock that nobody can step and that goes on while the machine is suspended.
///
/// It is tokio's clock plus the time that the machine has spent suspended (`CLOCK_BOOTTIME` less
/// `CLOCK_MONOTONIC`, on Linux and Android; elsewhere suspension is not seen). So it is real in
/// reality and virtual in a test on tokio's paused time, by one code path. Moments of different
/// processes cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Instant);

impl Moment {
    /// The present. Within a runtime with paused time, the virtual present.
    pub fn now() -> Self {
        Self(Instant::now() + suspended())
    }

    /// The time since this moment; zero if it lies ahead.
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The time from `earlier` to this moment; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time until this moment; zero if it is past.
    pub fn remaining(self) -> Duration {
        self.since(Self::now())
    }

    /// This moment plus `duration`, or one that never comes if that lies beyond what the clock can
    /// tell.
    pub(crate) fn far_add(self, duration: Duration) -> Self {
        self.0
            .checked_add(duration)
            .map_or_else(|| self + NEVER, Self)
    }
}

/// As good as never: within what every clock and timer here can express.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

impl Add<Duration> for Moment {
    type Output = Self;

    /// # Panics
    /// If the sum lies beyond what the clock can tell, centuries from now.
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// Until when a request must be answered.
///
/// A backend puts [`bound`](Self::bound) around each request it sends; then no store that has
/// fallen silent can hold up the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline this long from now.
    pub fn within(limit: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(limit).unwrap_or_else(|| now + NEVER))
    }

    /// The time left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The request's result, or `Unavailable` at the deadline.
    ///
    /// # Errors
    /// Those of the request; `Unavailable` if it takes longer.
    ///
    /// # Cancel safety
    /// At the deadline the request's future is dropped, so its outcome is unknown: ask again under
    /// the same id.
    pub async fn bound<T, F>(self, request: F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let allowed = self.remaining();
        match tokio::time::timeout_at(self.0, request).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the store did not answer within {allowed:.0?}; \
                     whether it did what was asked is not known"
                ),
            )),
        }
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android"))] {
        use std::sync::atomic::{AtomicU64, Ordering};

        use nix::time::{ClockId, clock_gettime};

        /// How long the machine has been suspended since it booted, in whole milliseconds.
        ///
        /// The nanoseconds between two readings of clocks show in each result, and would make two
        /// runs of one program on paused time differ.
        fn suspended() -> Duration {
            // Between two readings time goes by, so their difference falls short of the truth,
            // never beyond it: the greatest seen is the best. It falls far short only if the thread
            // was preempted just there, which the third reading shows.
            static MILLIS: AtomicU64 = AtomicU64::new(0);
            const TOGETHER: Duration = Duration::from_micros(200);
            const TRIES: usize = 5;
            let mut seen = Duration::ZERO;
            for _ in 0..TRIES {
                let (Some(before), Some(boot), Some(after)) = (
                    read(ClockId::CLOCK_MONOTONIC),
                    read(ClockId::CLOCK_BOOTTIME),
                    read(ClockId::CLOCK_MONOTONIC),
                ) else {
                    break;
                };
                seen = seen.max(boot.saturating_sub(after));
                if after.saturating_sub(before) <= TOGETHER {
                    break;
                }
            }
            let seen = u64::try_from(seen.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(MILLIS.fetch_max(seen, Ordering::Relaxed).max(seen))
        }

        /// A clock's reading, or `None` where the kernel has no such clock.
        fn read(clock: ClockId) -> Option<Duration> {
            clock_gettime(clock).ok().map(Duration::from)
        }
    } else {
        fn suspended() -> Duration {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn moments_follow_paused_time() {
        let start = Moment::now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let elapsed = start.elapsed();
        // What is known of past suspensions may grow by the time between two readings.
        assert!(
            elapsed.abs_diff(Duration::from_secs(3600)) < Duration::from_millis(1),
            "{elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_store_is_answered_for_at_the_deadline() {
        let deadline = Deadline::within(Duration::from_secs(2));
        let error = deadline
            .bound(std::future::pending::<Result<()>>())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("within 2s"), "{error}");
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[test]
    fn no_duration_is_too_long() {
        assert!(Deadline::within(Duration::MAX).remaining() > Duration::from_secs(1 << 28));
        let now = Moment::now();
        assert!(now.far_add(Duration::MAX) > now + Duration::from_secs(1 << 28));
    }
}
