use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::{ClaimRequest, Listener, Signals};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::script::{Faults, Which};

/// What becomes of the wake-ups that the store sends to its claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeUps {
    /// They arrive.
    #[default]
    Delivered,
    /// These are lost, so the claim must find out by itself.
    Lost(Which),
    /// These arrive so much later.
    Late(Which, Duration),
    /// They arrive, and to the claims made from now on so do others that mean nothing, this often.
    Spurious(Duration),
}

/// What becomes of one wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Now,
    After(Duration),
    Never,
}

impl WakeUps {
    /// What becomes of the next.
    pub(super) fn strike(&mut self) -> Told {
        let (which, struck) = match self {
            Self::Lost(which) => (which, Told::Never),
            Self::Late(which, delay) => (which, Told::After(*delay)),
            _ => return Told::Now,
        };
        if which.strikes() { struck } else { Told::Now }
    }
}

/// Stands between the store and the signals of one claim, until dropped.
#[derive(Debug)]
pub(super) struct Wires {
    _relay: Arc<Relay>,
    _noise: Option<Noise>,
}

#[derive(Debug)]
struct Relay {
    faults: Faults,
    to: Signals,
    runtime: Handle,
}

/// Sends a claim wake-ups that mean nothing, until dropped.
#[derive(Debug)]
struct Noise(JoinHandle<()>);

impl Wires {
    /// Has the request carry the signals that the store is to have. Called where the engine makes
    /// claims, in its runtime.
    pub(super) fn tap(request: &mut ClaimRequest, faults: &Faults) -> Self {
        let noise = match faults.enlist(&request.signals) {
            WakeUps::Spurious(every) => Some(Noise::make(request.signals.clone(), every)),
            _ => None,
        };
        let relay = Arc::new(Relay {
            faults: faults.clone(),
            to: request.signals.clone(),
            runtime: Handle::current(),
        });
        request.signals = Signals::to(&relay);
        Self {
            _relay: relay,
            _noise: noise,
        }
    }
}

impl Relay {
    fn pass_on(&self, tell: fn(&Signals)) {
        match self.faults.strike_wake_up() {
            Told::Now => tell(&self.to),
            Told::Never => {}
            Told::After(delay) => {
                let to = self.to.clone();
                self.runtime.spawn(async move {
                    sleep(delay).await;
                    tell(&to);
                });
            }
        }
    }
}

impl Listener for Relay {
    fn look(&self) {
        self.pass_on(Signals::look);
    }

    fn gone(&self) {
        self.pass_on(Signals::gone);
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
