use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::{Deadline, Moment, Result};

use super::Plain;
use super::line::Place;

/// A claim on a [`Plain`] store.
#[derive(Debug)]
pub(super) struct PlainClaim {
    store: Plain,
    request: ClaimRequest,
    /// The number of the grant that the engine knows of.
    granted: Option<u64>,
}

impl PlainClaim {
    pub(super) fn new(store: Plain, request: ClaimRequest) -> Self {
        Self {
            store,
            request,
            granted: None,
        }
    }

    pub(super) fn enter(&self, wait: bool) -> Result<Place> {
        self.store.change(&self.request.name, |line, rules, now| {
            line.enter(rules, &self.request, wait, now)
        })
    }
}

#[async_trait]
impl Claim for PlainClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let as_of = Moment::now();
        let ttl = self.request.ttl.get();
        Ok(match self.enter(!patience.has_ended())? {
            Place::Held(number) => {
                self.granted = Some(number);
                Attempt::Held(Hold::new(number, ttl, as_of))
            }
            Place::Behind(expiry) => Attempt::Blocked(Blocked::recheck(expiry.min(ttl / 3))),
        })
    }

    async fn renew(&mut self, _by: Deadline) -> Result<Renewal> {
        let as_of = Moment::now();
        let renewed = self.store.change(&self.request.name, |line, rules, now| {
            line.settle(rules, now);
            let number = line.number_of(&self.request);
            // Of another number, it is another hold.
            let is_another = number.is_some() && number != self.granted;
            let extended = !is_another && (rules.renew)(line, &self.request, now);
            extended.then(|| line.number_of(&self.request))
        });
        Ok(match renewed {
            Some(number) => {
                self.granted = number;
                Renewal::Extended(as_of)
            }
            None => Renewal::Lost,
        })
    }

    async fn release(&mut self, _by: Deadline) -> Result<Released> {
        Ok(self.store.change(&self.request.name, |line, rules, now| {
            line.settle(rules, now);
            let released = (rules.leave)(line, &self.request);
            line.settle(rules, now);
            released
        }))
    }
}
