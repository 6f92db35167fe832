use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Attempt, Claim, Hold, Patience, Released, Renewal};
use distlock_core::{Deadline, Error, ErrorKind, Result};
use tokio::time::sleep;

use crate::panics::ON_PURPOSE;

use super::script::{Fault, Faults, Verb};
use super::told::Wires;

/// A claim of a [`Faulty`](super::Faulty) backend.
#[derive(Debug)]
pub(super) struct FaultyClaim {
    inner: Box<dyn Claim>,
    faults: Faults,
    _wires: Wires,
}

/// A request with which something may go wrong, and by when it must be answered.
pub(super) struct Struck {
    fault: Option<Fault>,
    by: Deadline,
}

impl FaultyClaim {
    pub(super) fn new(inner: Box<dyn Claim>, faults: Faults, wires: Wires) -> Self {
        Self {
            inner,
            faults,
            _wires: wires,
        }
    }

    async fn strike(&mut self, verb: Verb, by: Deadline) -> Result<Struck> {
        let struck = Struck::by(self.faults.strike(verb), by);
        if struck.fault == Some(Fault::Forget) {
            self.inner.release(by).await?;
        }
        struck.before_request().await?;
        Ok(struck)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Claim for FaultyClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let faults = self.faults.clone();
        let request = async {
            let struck = self.strike(Verb::Attempt, patience.deadline()).await?;
            let reply = self.inner.attempt(patience).await;
            struck.after_reply(struck.numbered(reply)).await
        };
        faults.follow(request).await
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let faults = self.faults.clone();
        let request = async {
            let struck = self.strike(Verb::Renew, by).await?;
            struck.after_reply(self.inner.renew(by).await).await
        };
        faults.follow(request).await
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        let faults = self.faults.clone();
        let request = async {
            let struck = self.strike(Verb::Release, by).await?;
            struck.after_reply(self.inner.release(by).await).await
        };
        faults.follow(request).await
    }
}

impl Struck {
    pub(super) fn by(fault: Option<Fault>, by: Deadline) -> Self {
        Self { fault, by }
    }

    /// What goes wrong on the way to the store.
    pub(super) async fn before_request(&self) -> Result<()> {
        match self.fault {
            Some(Fault::LoseRequest) => Err(unavailable("the request was lost")),
            Some(Fault::Fail(kind)) => Err(Error::new(
                kind,
                "the store refused, as the test told it to",
            )),
            Some(Fault::Hang) => self.by.bound(std::future::pending()).await,
            Some(Fault::DelayRequest(delay)) => self.delay(delay).await,
            Some(Fault::Panic) => panic!("{ON_PURPOSE}, as the test told it to"),
            _ => Ok(()),
        }
    }

    fn numbered(&self, reply: Result<Attempt>) -> Result<Attempt> {
        match (reply, self.fault) {
            (Ok(Attempt::Held(hold)), Some(Fault::Number(number))) => {
                Ok(Attempt::Held(Hold::new(number, hold.ttl, hold.as_of)))
            }
            (reply, _) => reply,
        }
    }

    /// What goes wrong on the way back.
    pub(super) async fn after_reply<T>(&self, reply: Result<T>) -> Result<T> {
        match self.fault {
            Some(Fault::LoseReply) => return Err(unavailable("the reply was lost")),
            Some(Fault::DelayReply(delay)) => self.delay(delay).await?,
            Some(Fault::Stall(delay)) => sleep(delay).await,
            _ => {}
        }
        reply
    }

    async fn delay(&self, delay: Duration) -> Result<()> {
        let late = async {
            sleep(delay).await;
            Ok(())
        };
        self.by.bound(late).await
    }
}

fn unavailable(what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, what)
}
