use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Signals};
use distlock_core::{Capabilities, Deadline, LockState, Name, Result};

use super::claim::{FaultyClaim, Struck};
use super::script::{Faults, Verb};
use super::told::Wires;

/// A backend that does to its requests what its [`Faults`] say, and is like the one it wraps
/// otherwise.
///
/// It keeps the obligations of a backend as far as the faults let it; in particular, a request that
/// hangs hangs until its deadline.
#[derive(Debug)]
pub struct Faulty<B> {
    inner: B,
    faults: Faults,
}

impl<B: Backend> Faulty<B> {
    /// The backend with nothing wrong yet, and the handle to change that.
    pub fn new(inner: B) -> (Self, Faults) {
        let faults = Faults::default();
        (
            Self {
                inner,
                faults: faults.clone(),
            },
            faults,
        )
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for Faulty<B> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let wires = Wires::tap(&mut request, &self.faults);
        Ok(Box::new(FaultyClaim::new(
            self.inner.claim(request)?,
            self.faults.clone(),
            wires,
        )))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let struck = Struck::by(self.faults.strike(Verb::Inspect), by);
        struck.before_request().await?;
        let reply = self.inner.inspect(name, by).await;
        struck.after_reply(reply).await
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        self.inner.subscribe(name, signals)
    }

    async fn close(&self, by: Deadline) {
        self.inner.close(by).await;
        self.faults.note_close();
    }
}
