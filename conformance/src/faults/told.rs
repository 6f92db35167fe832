use std::time::Duration;

use distlock_core::backend::{ClaimRequest, Signals};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What becomes of the wake-ups that the store sends to its claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeUps {
    /// They arrive.
    #[default]
    Delivered,
    /// They are lost, so the claim must find out by itself.
    Swallowed,
    /// They arrive, and so do others that mean nothing, this often.
    Spurious(Duration),
}

/// Sends a claim wake-ups that mean nothing, until dropped.
#[derive(Debug)]
pub(super) struct Noise(JoinHandle<()>);

impl WakeUps {
    /// Has the request carry the signals that the store is to have. Called where the engine makes
    /// claims, in its runtime.
    pub(super) fn rewire(self, request: &mut ClaimRequest) -> Option<Noise> {
        match self {
            Self::Delivered => None,
            Self::Swallowed => {
                let unheard = ClaimRequest::new(request.name.clone(), request.mode, request.ttl);
                request.signals = unheard.signals;
                None
            }
            Self::Spurious(every) => Some(Noise::make(request.signals.clone(), every)),
        }
    }
}

impl Noise {
    fn make(signals: Signals, every: Duration) -> Self {
        Self(tokio::spawn(async move {
            while !signals.is_closed() {
                sleep(every).await;
                signals.look();
            }
        }))
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.0.abort();
    }
}
