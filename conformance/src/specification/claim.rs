use std::time::Duration;

use distlock_core::backend::{Attempt, Renewal};
use distlock_core::{Moment, Result};

use crate::bare::Bare;

use super::answer::Answer;
use super::script::Contender;

/// A claim on the store.
pub(super) struct Claim {
    pub(super) bare: Bare,
    pub(super) contender: Contender,
    /// Its hold: the queue's number of the grant, and the store's.
    pub(super) hold: Option<(u64, u64)>,
    /// Whether its last attempt found that it holds; no other claim is renewed.
    pub(super) renewable: bool,
    pub(super) released: bool,
    /// The TTL in force, as far as it is known.
    ttl: Duration,
    /// From when its TTL counts, at the earliest.
    heard: Moment,
}

impl Claim {
    pub(super) fn new(bare: Bare, contender: Contender, ttl: Duration) -> Self {
        Self {
            bare,
            contender,
            hold: None,
            renewable: false,
            released: false,
            ttl,
            heard: Moment::now(),
        }
    }

    /// Asks the store.
    pub(super) async fn attempt(&mut self, wait: bool, stands: bool) -> Result<Attempt> {
        // A look soon after another may leave the place as it was.
        if !stands || self.heard.elapsed() > self.ttl / 3 {
            self.heard = Moment::now();
        }
        let found = match wait {
            true => self.bare.attempt().await,
            false => self.bare.attempt_once().await,
        };
        self.renewable = false;
        if let Ok(Attempt::Held(hold)) = &found {
            self.heard = hold.as_of;
            self.ttl = hold.ttl;
            self.renewable = true;
        }
        found
    }

    /// Asks the store.
    pub(super) async fn renew(&mut self) -> Result<Answer> {
        let found = self.bare.renew().await?;
        if let Renewal::Extended(as_of) = found {
            self.heard = as_of;
        }
        Ok(found.into())
    }

    /// Asks the store.
    pub(super) async fn release(&mut self) -> Result<Answer> {
        self.released = true;
        self.renewable = false;
        Ok(self.bare.release().await?.into())
    }

    /// For how long it is certain that the store keeps it.
    pub(super) fn remaining(&self) -> Duration {
        self.ttl.saturating_sub(self.heard.elapsed())
    }
}
