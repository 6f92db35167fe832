use std::time::Duration;

use distlock_core::backend::{Attempt, Renewal};
use distlock_core::{Moment, Result};

use crate::bare::Bare;

use super::script::Contender;

/// A claim on the store.
pub(super) struct Claim {
    pub(super) bare: Bare,
    pub(super) contender: Contender,
    /// Its hold: the queue's number of the grant, and the store's.
    pub(super) hold: Option<(u64, u64)>,
    /// Whether its last attempt found that it holds; no other claim is renewed.
    pub(super) renewable: bool,
    pub(super) is_released: bool,
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
            is_released: false,
            ttl,
            heard: Moment::now(),
        }
    }

    /// Takes note of what an attempt that was sent then has found, and whether the claim stood in
    /// the store before.
    pub(super) fn attempted(&mut self, sent: Moment, stood: bool, found: &Result<Attempt>) {
        // A look that begins soon after another may leave the place as it was.
        if !stood || sent.since(self.heard) > self.ttl / 3 {
            self.heard = sent;
        }
        self.renewable = false;
        if let Ok(Attempt::Held(hold)) = found {
            self.heard = hold.as_of;
            self.ttl = hold.ttl;
            self.renewable = true;
        }
    }

    /// Takes note of what a renewal has found.
    pub(super) fn renewed(&mut self, found: &Result<Renewal>) {
        if let Ok(Renewal::Extended(as_of)) = found {
            self.heard = *as_of;
        }
    }

    /// Takes note that it was released.
    pub(super) fn released(&mut self) {
        self.renewable = false;
        self.is_released = true;
    }

    /// For how long it is certain that the store keeps it.
    pub(super) fn remaining(&self) -> Duration {
        self.ttl.saturating_sub(self.heard.elapsed())
    }
}
