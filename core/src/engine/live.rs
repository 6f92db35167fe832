use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::caller::LeftBehind;
use super::{Engine, Spec, backoff};
use crate::backend::{
    Attempt, Claim, ClaimRequest, Patience, Released, Renewal, SignalState, Signals, new_id,
};
use crate::capability::Expiry;
use crate::clock::{Deadline, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Mode;

/// A claim, and the certainty that it ends: dropped, it is withdrawn from the store in the
/// background.
pub(crate) struct LiveClaim {
    engine: Arc<Engine>,
    pub(crate) spec: Arc<Spec>,
    pub(crate) signals: Arc<SignalState>,
    /// What is not settled before this claim has ended, if the caller it is for goes.
    left: Arc<LeftBehind>,
    /// Taken when the claim is handed to the task that withdraws it.
    claim: Option<Box<dyn Claim>>,
    /// When the store may last have heard from it. `None`: there is nothing of it in the store.
    heard: Option<Moment>,
}

impl LiveClaim {
    /// A new contender. Sends nothing.
    pub(super) fn new(
        engine: &Arc<Engine>,
        spec: &Arc<Spec>,
        left: &Arc<LeftBehind>,
    ) -> Result<Self> {
        let signals = Arc::new(SignalState::default());
        let request = ClaimRequest {
            id: new_id(),
            owner: Arc::clone(&engine.owner),
            name: spec.name.clone(),
            mode: spec.mode,
            ttl: spec.ttl,
            label: Arc::clone(&spec.label),
            signals: Signals::to(&signals),
        };
        let claim = contain(|| engine.backend.claim(request)).and_then(|made| made)?;
        Ok(Self {
            engine: Arc::clone(engine),
            spec: Arc::clone(spec),
            signals,
            left: Arc::clone(left),
            claim: Some(claim),
            heard: None,
        })
    }

    /// The same claim, for another acquisition that it serves.
    pub(super) fn inherited_by(mut self, spec: &Arc<Spec>, left: &Arc<LeftBehind>) -> Self {
        self.spec = Arc::clone(spec);
        self.left = Arc::clone(left);
        self
    }

    /// Whether this claim can stand for that acquisition as well as one made for it.
    ///
    /// Only exclusive claims can. It may have been granted already, without anybody here knowing;
    /// others may have been granted shared holds or permits since, with greater tokens, and given
    /// them back. The acquisition may have begun after all that, and its token must be greater.
    pub(super) fn serves(&self, spec: &Spec) -> bool {
        spec.mode == Mode::Exclusive
            && (self.spec.mode, self.spec.ttl, &self.spec.label)
                == (spec.mode, spec.ttl, &spec.label)
    }

    pub(crate) async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        self.signals.ask_anew();
        self.heard = Some(Moment::now());
        let result = contained(self.claim()?.attempt(patience)).await;
        self.heard = Some(Moment::now());
        result
    }

    pub(crate) async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let result = contained(self.claim()?.renew(by)).await;
        self.heard = Some(Moment::now());
        result
    }

    /// Ends the claim in the store. Asks until the store confirms, or until the claim can no longer
    /// be alive there. What a release found whose answer was lost is not known; it is taken to have
    /// done its work.
    pub(crate) async fn release(mut self) -> Result<Released> {
        let Some(heard) = self.heard.take() else {
            return Ok(Released::NotHeld);
        };
        let ttl = self.spec.ttl.get();
        let mut failures = 0;
        loop {
            match contained(self.claim()?.release(Engine::deadline(ttl))).await {
                Ok(_) if failures > 0 => return Ok(Released::Held),
                Ok(released) => return Ok(released),
                Err(error) if self.has_ended(heard) => return Err(error),
                Err(error) => {
                    failures += 1;
                    crate::telemetry::release_failed(
                        self.engine.store(),
                        &self.spec,
                        failures,
                        &error,
                    );
                    tokio::time::sleep(backoff::pause(ttl, failures)).await;
                }
            }
        }
    }

    /// The store has said that there is nothing of this claim in it.
    pub(crate) fn left_nothing(mut self) {
        self.heard = None;
    }

    /// Whether the store must have dropped the claim by now. In a session that others keep alive it
    /// never does by itself.
    fn has_ended(&self, heard: Moment) -> bool {
        let capabilities = self.engine.backend.capabilities();
        match capabilities.expiry {
            Expiry::PerClaim => heard.elapsed() > self.spec.ttl.get() + capabilities.slack,
            Expiry::PerSession => false,
        }
    }

    fn claim(&mut self) -> Result<&mut Box<dyn Claim>> {
        self.claim
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Unexpected, "the claim has been withdrawn"))
    }
}

impl Drop for LiveClaim {
    fn drop(&mut self) {
        let (Some(heard), Some(claim)) = (self.heard.take(), self.claim.take()) else {
            return;
        };
        let ticket = self.engine.pending.open(&self.spec.name);
        // Unheard of until the task runs: where the runtime has shut down it never does, and
        // dropping the claim with it must not begin this anew.
        let mut leaving = Self {
            engine: Arc::clone(&self.engine),
            spec: Arc::clone(&self.spec),
            signals: Arc::clone(&self.signals),
            left: Arc::clone(&self.left),
            claim: Some(claim),
            heard: None,
        };
        self.engine.spawn(async move {
            leaving.heard = Some(heard);
            // A failure has been traced, and the TTL has ended the claim.
            let _ = leaving.release().await;
            drop(ticket);
        });
    }
}

/// What the backend's future comes to; a panic in it costs this claim, not the engine.
async fn contained<T>(call: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let mut call = pin!(call);
    std::future::poll_fn(|context| match contain(|| call.as_mut().poll(context)) {
        Ok(poll) => poll,
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

fn contain<T>(call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Error::new(
            ErrorKind::Unexpected,
            format!("the backend panicked: {message}"),
        )
    })
}

impl fmt::Debug for LiveClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveClaim")
            .field("spec", &self.spec)
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}
