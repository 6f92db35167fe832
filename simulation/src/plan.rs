use std::time::Duration;

use distlock_core::Mode;
use fastrand::Rng;

use crate::disaster::{Disaster, Planned};
use crate::run::Setup;

/// What a run is like: who takes part, and what may go wrong. Drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The TTL that each client asks for.
    pub(crate) ttls: Vec<Duration>,
    /// How many acquisitions a client has under way at once.
    pub(crate) workers: usize,
    /// How many a worker makes, one after the other.
    pub(crate) operations: usize,
    /// In which modes each name is held.
    pub(crate) names: Vec<Vec<Mode>>,
    /// How fast the store's clock runs.
    pub(crate) server_rate: f64,
    pub(crate) hazards: Hazards,
    pub(crate) disasters: Vec<Planned>,
    /// When all that goes wrong ends.
    pub(crate) heals_at: Duration,
}

/// How likely it is that something goes wrong with a message. All zero: nothing does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hazards {
    pub(crate) lose_request: f64,
    pub(crate) lose_reply: f64,
    pub(crate) duplicate: f64,
    /// Delayed by much of what is allowed for it.
    pub(crate) slow: f64,
    /// Delayed past that, perhaps past the TTL.
    pub(crate) late: f64,
    pub(crate) lose_push: f64,
    pub(crate) slow_push: f64,
    pub(crate) spurious_push: f64,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, setup: &Setup) -> Self {
        let ttl = Duration::from_millis(rng.choice([240, 500, 1000, 3000]).unwrap_or(1000));
        let clients = rng.usize(2..=4);
        let ttls: Vec<_> = (0..clients).map(|_| ttl.mul_f64(1.0 + rng.f64())).collect();
        let longest = ttls.iter().max().copied().unwrap_or(ttl);
        let names = (0..rng.usize(1..=2))
            .map(|_| match rng.u32(0..4) {
                0 | 1 => vec![Mode::Exclusive],
                2 => vec![Mode::Exclusive, Mode::Shared, Mode::Shared],
                _ => vec![Mode::Permit {
                    limit: rng.u32(1..=3),
                }],
            })
            .collect();
        let heals_at = longest * rng.u32(4..=10);
        let is_calm = rng.u32(0..5) == 0;
        let (hazards, disasters) = if is_calm {
            (Hazards::default(), Vec::new())
        } else {
            let disasters = (0..rng.usize(0..=4))
                .map(|_| Disaster::draw(rng, clients, longest, heals_at))
                .collect();
            (Hazards::draw(rng), disasters)
        };
        let rate = 0.995 + 0.01 * rng.f64();
        Self {
            ttls,
            workers: rng.usize(1..=3),
            operations: rng.usize(3..=10),
            names,
            server_rate: setup.server_rate.unwrap_or(rate),
            hazards,
            disasters,
            heals_at,
        }
    }

    /// The longest TTL anybody asks for.
    pub(crate) fn longest_ttl(&self) -> Duration {
        self.ttls.iter().max().copied().unwrap_or_default()
    }

    /// No message is on its way for longer than this.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.longest_ttl() * 2
    }

    /// No guard is kept for longer than this.
    pub(crate) fn longest_hold(&self) -> Duration {
        self.longest_ttl().mul_f64(1.5)
    }
}

impl Hazards {
    fn draw(rng: &mut Rng) -> Self {
        // Each kind is absent from half of the runs, so that each is also seen alone.
        let mut some = |most: f64| {
            if rng.bool() { most * rng.f64() } else { 0.0 }
        };
        Self {
            lose_request: some(0.3),
            lose_reply: some(0.3),
            duplicate: some(0.3),
            slow: some(0.5),
            late: some(0.2),
            lose_push: some(1.0),
            slow_push: some(0.5),
            spurious_push: some(0.3),
        }
    }
}
