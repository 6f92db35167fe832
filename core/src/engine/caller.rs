use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::pending::Ticket;
use super::{Engine, Spec, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::Guard;
use crate::sync::{Mutex, oneshot};
use crate::telemetry;

/// The caller's side of an acquisition: lazy, and only a listener. The work is done by a task on
/// the engine's runtime, which learns from the drop of this that its caller has gone.
pub(crate) struct Contest {
    engine: Arc<Engine>,
    spec: Result<Arc<Spec>>,
    kind: Kind,
    state: State,
}

/// A guard; none if somebody else holds the name and the caller would not wait.
type Answer = Result<Option<Guard>>;

/// How long the caller is willing to wait for other holders.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Not at all.
    Try,
    /// Until granted, or for so long.
    Wait(Option<Duration>),
}

enum State {
    Idle,
    Asked {
        answer: oneshot::Receiver<Answer>,
        left: Arc<LeftBehind>,
    },
    Over,
}

/// What the caller leaves behind when it goes before the work is done: something to settle. Shared
/// by all that may still have to be done for it; settled when the last of them is.
#[derive(Debug, Default)]
pub(super) struct LeftBehind(Mutex<Option<Ticket>>);

/// The engine's side: where the answer goes, and whether anybody still waits for it.
pub(crate) struct Caller {
    answer: Option<oneshot::Sender<Answer>>,
    limit: Option<(Instant, Duration)>,
    pub(super) left: Arc<LeftBehind>,
    engine: Arc<Engine>,
    spec: Arc<Spec>,
    /// The latest failure, told as the source of a time-out.
    pub(crate) failure: Option<Error>,
}

impl Contest {
    pub(crate) fn new(engine: &Arc<Engine>, spec: Result<Spec>, kind: Kind) -> Self {
        Self {
            engine: Arc::clone(engine),
            spec: spec.map(Arc::new),
            kind,
            state: State::Idle,
        }
    }

    fn begin(&self, spec: &Arc<Spec>) -> (oneshot::Receiver<Answer>, Arc<LeftBehind>) {
        let (sender, receiver) = oneshot::channel();
        let left = Arc::new(LeftBehind::default());
        let clock = self.engine.runtime.enter();
        let limit = match self.kind {
            Kind::Wait(Some(limit)) => Instant::now().checked_add(limit).map(|at| (at, limit)),
            _ => None,
        };
        drop(clock);
        let caller = Caller {
            answer: Some(sender),
            limit,
            left: Arc::clone(&left),
            engine: Arc::clone(&self.engine),
            spec: Arc::clone(spec),
            failure: None,
        };
        let span = telemetry::acquire_span(self.engine.store(), spec);
        let work = wait::acquire(
            Arc::clone(&self.engine),
            Arc::clone(spec),
            self.kind,
            caller,
        );
        self.engine.begin(work.instrument(span));
        (receiver, left)
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        let spec = match &self.spec {
            Ok(spec) => Arc::clone(spec),
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        if let State::Idle = self.state {
            let (answer, left) = self.begin(&spec);
            self.state = State::Asked { answer, left };
        }
        let State::Asked { answer, .. } = &mut self.state else {
            return Poll::Pending;
        };
        let result = ready!(Pin::new(answer).poll(context));
        self.state = State::Over;
        Poll::Ready(
            result
                .unwrap_or_else(|_| Err(Engine::gone()))
                .map_err(|error| error.during("acquire", &spec.name)),
        )
    }
}

impl Drop for Contest {
    fn drop(&mut self) {
        // Noted before the answer's receiver goes, so that whoever settles after this drop waits
        // for it.
        if let (State::Asked { left, .. }, Ok(spec)) = (&self.state, &self.spec) {
            left.note(&self.engine, spec);
        }
    }
}

impl LeftBehind {
    /// Whoever settles from now on waits for it. Both sides may note it, the caller as it goes and
    /// the engine as its time is over; the first has to stay, or those who wait already would not.
    fn note(&self, engine: &Engine, spec: &Spec) {
        let mut ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ticket.get_or_insert_with(|| engine.pending.open(&spec.name));
    }
}

impl Caller {
    /// Resolves once nobody waits for the answer any more; the first to learn that its time limit
    /// has passed is the caller, who is told so here. At once, if that has been so before.
    pub(crate) async fn gave_up(&mut self) {
        let Some(answer) = self.answer.as_mut() else {
            return;
        };
        let Some((at, limit)) = self.limit else {
            return answer.closed().await;
        };
        tokio::select! {
            biased;
            () = answer.closed() => {}
            () = tokio::time::sleep_until(at) => {
                let mut error = Error::new(ErrorKind::TimedOut, format!("not granted within {limit:?}"));
                if let Some(failure) = self.failure.take() {
                    error = error.with_source(failure);
                }
                self.left.note(&self.engine, &self.spec);
                self.answer(Err(error));
            }
        }
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn has_given_up(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Tells the caller. What it does not take any more is dropped, a guard with the effect that
    /// has.
    pub(crate) fn answer(&mut self, result: Answer) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(result));
        }
    }
}

impl fmt::Debug for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contest")
            .field("spec", &self.spec)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
