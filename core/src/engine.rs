//! Drives claims: one task an acquisition, one keeper for all holds.
//!
//! The future of a claim is never dropped: an acquisition begins with the call and goes on in a
//! task of its own on the engine's runtime, and the caller's future only listens. Cancellation and
//! time limits tell that task that its caller has gone; it then finishes the request in flight and
//! withdraws the claim, or lets a neighbour have its place.

pub(crate) mod caller;
pub(crate) mod hold;
pub(crate) mod wait;

mod backoff;
mod begin;
mod keep;
mod line;
mod live;
mod pending;
#[cfg(all(test, shuttle))]
mod schedules;
mod thread;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::backend::Backend;
use crate::clock::{Deadline, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Mode;
use crate::name::Name;
use crate::sync::{self, oneshot};
use crate::ttl::Ttl;

use begin::Starts;
use keep::Keeper;
use line::Lines;
use pending::Pending;
pub(crate) use thread::on_own_thread;

/// No request is given longer than this, however long the TTL.
const MAX_REQUEST: Duration = Duration::from_secs(5);
/// Nobody is kept waiting for a store that does not answer for longer than this, however long the
/// TTL, nor told of it earlier than this, however short.
const MAX_UNANSWERED: Duration = Duration::from_secs(30);
const MIN_UNANSWERED: Duration = Duration::from_secs(1);

/// What all claims of one [`Locks`](crate::Locks) share.
pub(crate) struct Engine {
    pub(crate) backend: Arc<dyn Backend>,
    /// One random id for all claims.
    pub(crate) owner: Arc<str>,
    pub(crate) drift: Drift,
    pub(crate) pending: Arc<Pending>,
    runtime: Handle,
    keeper: Arc<Keeper>,
    starts: Arc<Starts>,
    lines: Arc<Lines>,
    /// Dropped when the engine has stopped, which ends its own thread if it has one.
    stopped: Option<oneshot::Sender<Infallible>>,
}

/// What an acquisition asks for, checked.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: Name,
    pub(crate) mode: Mode,
    pub(crate) ttl: Ttl,
    pub(crate) label: Arc<str>,
    pub(crate) max_hold: Option<Duration>,
}

/// How far the clocks of client and store may drift apart during a TTL: a share of it, and a
/// constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drift {
    pub(crate) share: f64,
    pub(crate) constant: Duration,
}

impl Engine {
    /// An engine on this runtime. `stopped` is dropped when all its work has ended.
    pub(crate) fn start(
        backend: Arc<dyn Backend>,
        drift: Drift,
        runtime: Handle,
        stopped: Option<oneshot::Sender<Infallible>>,
    ) -> Arc<Self> {
        let keeper = Arc::new(Keeper::default());
        let starts = Arc::new(Starts::default());
        sync::spawn(
            &runtime,
            keep::run(Arc::clone(&keeper), Arc::clone(&starts)),
        );
        Arc::new(Self {
            backend,
            owner: format!("{:032x}", crate::backend::new_id()).into(),
            drift,
            pending: Arc::default(),
            runtime,
            keeper,
            starts,
            lines: Arc::default(),
            stopped,
        })
    }

    pub(crate) fn store(&self) -> &'static str {
        self.backend.capabilities().store
    }

    /// Runs a task on the engine's runtime; drops it if that has shut down.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        sync::spawn(&self.runtime, task);
    }

    /// As [`spawn`](Self::spawn), but what can be done on the spot is.
    pub(crate) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.starts.begin(&self.runtime, work);
    }

    /// The present on the engine's clock, wherever the caller runs.
    pub(crate) fn now(&self) -> Moment {
        // In the destructor of a thread-local there may be no place left to enter a runtime, and
        // the real clock has to do.
        let current = Handle::try_current();
        let has_ended = current.is_err_and(|error| error.is_thread_local_destroyed());
        let _clock = (!has_ended).then(|| self.runtime.enter());
        Moment::now()
    }

    /// By when a request of a claim with this TTL must be answered, if sent now.
    pub(crate) fn deadline(ttl: Duration) -> Deadline {
        Deadline::within(request_time(ttl))
    }

    /// What goes wrong when the engine's runtime is no more.
    pub(crate) fn gone() -> Error {
        Error::new(
            ErrorKind::Unavailable,
            "the runtime that drives these locks has shut down; \
             keep it running, or use `build_on_own_thread`",
        )
    }
}

/// How long one request of a claim may take. A sixth of the TTL, so that a renewal that hangs
/// leaves time for others before the hold ends.
pub(crate) fn request_time(ttl: Duration) -> Duration {
    (ttl / 6).min(MAX_REQUEST)
}

/// How long the store may leave an acquisition or release unanswered before its caller is told.
pub(crate) fn unanswered_time(ttl: Duration) -> Duration {
    ttl.clamp(MIN_UNANSWERED, MAX_UNANSWERED)
}

impl Drift {
    /// One per cent for clocks of different speed, two milliseconds for their resolution: the
    /// figures of Redlock, generous for clocks that NTP disciplines (0.05 %).
    pub(crate) const DEFAULT: Self = Self {
        share: 0.01,
        constant: Duration::from_millis(2),
    };

    /// For how long after it was dated a hold of this TTL counts as valid.
    pub(crate) fn validity(self, ttl: Duration) -> Duration {
        ttl.saturating_sub(ttl.mul_f64(self.share))
            .saturating_sub(self.constant)
    }

    /// Whether so much of this TTL is left as validity that a hold can be renewed, and a renewal
    /// fail.
    ///
    /// # Errors
    /// `InvalidInput`, naming the margin.
    pub(crate) fn check(self, ttl: Duration) -> Result<()> {
        if self.validity(ttl) >= ttl / 2 {
            return Ok(());
        }
        let Self { share, constant } = self;
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the drift margin ({share} of the TTL and {constant:?}) takes at most half \
                 of the TTL; with {ttl:?} it takes more"
            ),
        ))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.keeper.stop();
        let backend = Arc::clone(&self.backend);
        let stopped = self.stopped.take();
        self.spawn(async move {
            backend.close(Deadline::within(MAX_REQUEST)).await;
            drop(stopped);
        });
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}
