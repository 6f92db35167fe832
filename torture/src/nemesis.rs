//! What breaks things, at random from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_conformance::history::{Recorder, What};
use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bed::Bed;
use crate::crew::Crew;

/// Breaks the store and the network in front of it, and mends them, one thing at a time.
#[derive(Debug)]
pub(crate) struct OfStore<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) ttl: Duration,
    /// For how long after a fault its effects may be felt. Some of what is to be seen is only seen
    /// when none are.
    pub(crate) settles: Duration,
    pub(crate) recorder: &'a Arc<Recorder>,
    pub(crate) faults: &'a Arc<AtomicU32>,
}

impl OfStore<'_> {
    pub(crate) async fn rage(&self, mut chance: Rng, until: Instant) -> Result<()> {
        loop {
            // Now one fault into the effects of another, and now one after those.
            let rest = match chance.bool() {
                true => self.ttl.mul_f64(chance.f64()),
                false => self.settles.mul_f64(1.0 + 0.5 * chance.f64()),
            };
            sleep_until((Instant::now() + rest).min(until)).await;
            let Some(fault) = self.bed.draw(&mut chance) else {
                return Ok(());
            };
            let lasts = self.ttl.mul_f64(0.1 + 1.9 * chance.f64());
            if Instant::now() + lasts >= until {
                return Ok(());
            }
            let number = self.faults.fetch_add(1, Ordering::Relaxed);
            self.recorder.record(What::FaultBegan {
                fault: number,
                kind: fault.harm.to_string(),
                target: fault.target.clone(),
                effect: fault.effect,
            })?;
            let struck = self.bed.strike(&fault, lasts).await;
            struck.with_context(|| format!("{} of {}", fault.harm, fault.target))?;
            self.recorder.record(What::FaultEnded { fault: number })?;
        }
    }
}

/// Kills and pauses workers, one at a time.
pub(crate) async fn among_workers(
    crew: &Crew,
    ttl: Duration,
    mut chance: Rng,
    until: Instant,
) -> Result<()> {
    loop {
        sleep(Duration::from_millis(chance.u64(500..4000))).await;
        let slot = chance.usize(..crew.slots());
        let part = |of: Duration, from: f64, to: f64, chance: &mut Rng| {
            of.mul_f64(from + (to - from) * chance.f64())
        };
        let kind = chance.u8(..10);
        let lasts = match kind {
            0..4 => part(ttl, 0.0, 1.5, &mut chance),
            4..7 => part(ttl, 0.05, 0.8, &mut chance),
            _ => part(ttl, 1.3, 2.5, &mut chance),
        };
        if Instant::now() + lasts >= until {
            return Ok(());
        }
        match kind {
            0..4 => crew.kill(slot, lasts).await?,
            _ => crew.pause(slot, lasts).await?,
        }
    }
}
