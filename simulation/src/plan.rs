pub(crate) mod disaster;
pub(crate) mod hazards;
pub(crate) mod step;

use std::fmt;
use std::time::Duration;

use distlock_core::Mode;
use fastrand::Rng;

use crate::family::Family;
use crate::run::{Clocks, Setup};
use disaster::{Disaster, Planned};
use hazards::Hazards;
use step::{Act, Step, Use};

/// All that is left to chance in a run, but for what becomes of each message: who takes part, what
/// each does, and what goes wrong. Drawn from its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) seed: u64,
    pub(crate) family: Family,
    pub(crate) clients: Vec<Client>,
    pub(crate) names: usize,
    /// How fast the store's clock runs.
    pub(crate) server_rate: f64,
    pub(crate) hazards: Hazards,
    pub(crate) disasters: Vec<Planned>,
    /// When all that goes wrong ends.
    pub(crate) heals_at: Duration,
}

/// One process with locks of its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The TTL it asks for.
    pub(crate) ttl: Duration,
    /// How fast its clock runs.
    pub(crate) rate: f64,
    /// What each of its workers does, one thing after the other.
    pub(crate) workers: Vec<Vec<Step>>,
}

impl Client {
    /// The TTL as the client's own clock measures it.
    pub(crate) fn own_ttl(&self) -> Duration {
        self.ttl.div_f64(self.rate)
    }
}

impl Plan {
    /// The plan of this seed.
    pub fn draw(seed: u64, setup: &Setup) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let family = setup.family.unwrap_or_else(|| Family::draw(seed));
        let shortest = *rng.choice(family.shortest_ttls()).unwrap_or(&1000);
        let ttls: Vec<_> = (0..rng.usize(2..=4))
            .map(|_| Duration::from_millis(rng.u64(shortest..=2 * shortest)))
            .collect();
        let in_force = ttls.iter().map(|ttl| family.in_force(*ttl));
        let longest = in_force.max().unwrap_or_default();
        let modes: Vec<_> = (0..rng.usize(1..=2)).map(|_| draw_modes(rng)).collect();
        let heals_at = longest * rng.u32(4..=12);
        let is_calm = rng.u32(0..5) == 0;
        let (hazards, disasters) = if is_calm {
            (Hazards::default(), Vec::new())
        } else {
            let disasters = (0..rng.usize(0..=5))
                .map(|_| Disaster::draw(rng, ttls.len(), modes.len(), longest, heals_at))
                .collect();
            (Hazards::draw(rng), disasters)
        };
        let (workers, steps) = (rng.usize(1..=3), rng.usize(3..=10));
        let mut op = 0;
        let mut draw_client = |ttl: Duration| {
            let in_force = family.in_force(ttl);
            let mut draw_step = |rng: &mut Rng| {
                op += 1;
                let name = rng.usize(0..modes.len());
                Step {
                    op,
                    pause: (in_force / 3).mul_f64(rng.f64().powi(2)),
                    name,
                    act: Act::draw(rng, &modes[name], in_force),
                }
            };
            Client {
                ttl,
                rate: draw_rate(rng, setup.clocks),
                workers: (0..workers)
                    .map(|_| (0..steps).map(|_| draw_step(rng)).collect())
                    .collect(),
            }
        };
        let clients = ttls.into_iter().map(&mut draw_client).collect();
        Self {
            seed,
            family,
            clients,
            names: modes.len(),
            server_rate: draw_rate(rng, setup.clocks),
            hazards,
            disasters,
            heals_at,
        }
    }

    /// The TTL of a client's claims.
    pub(crate) fn in_force(&self, client: usize) -> Duration {
        self.family.in_force(self.clients[client].own_ttl())
    }

    /// How long the store keeps a client's claims that it does not hear of.
    pub(crate) fn at_store(&self, client: usize) -> Duration {
        let ttl = self.in_force(client).mul_f64(self.clients[client].rate);
        (ttl + self.family.slack()).div_f64(self.server_rate)
    }

    /// The longest TTL anybody asks for or has, by the slowest clock.
    pub(crate) fn longest_ttl(&self) -> Duration {
        let own = self.clients.iter().map(Client::own_ttl);
        let at_store = (0..self.clients.len()).map(|client| self.at_store(client));
        own.chain(at_store).max().unwrap_or_default()
    }

    /// No message is on its way for longer than this.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.longest_ttl() * 2
    }

    /// No guard is kept for longer than this.
    pub(crate) fn longest_hold(&self) -> Duration {
        Use::longest(self.longest_ttl()) * 3
    }

    pub(crate) fn forgets(&self) -> bool {
        self.disasters
            .iter()
            .any(|(_, disaster)| matches!(disaster, Disaster::Forgets { .. }))
    }

    /// How many things are done in it.
    pub fn steps(&self) -> usize {
        let workers = self.clients.iter().flat_map(|client| &client.workers);
        workers.map(Vec::len).sum()
    }
}

fn draw_modes(rng: &mut Rng) -> Vec<Mode> {
    let permit = Mode::Permit {
        limit: rng.u32(1..=3),
    };
    match rng.u32(0..8) {
        0..=2 => vec![Mode::Exclusive],
        3 | 4 => vec![Mode::Exclusive, Mode::Shared, Mode::Shared],
        5 | 6 => vec![permit],
        // Which do not mix: where one stands, the other is refused.
        _ => vec![Mode::Exclusive, permit],
    }
}

/// How fast a clock runs. The default margin covers two clocks that differ by one part in a
/// hundred.
fn draw_rate(rng: &mut Rng, clocks: Clocks) -> f64 {
    let most = match clocks {
        Clocks::WithinMargin => 0.0045,
        Clocks::BeyondMargin => 0.05,
    };
    1.0 + most * (2.0 * rng.f64() - 1.0)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            family,
            clients,
            server_rate,
            hazards,
            disasters,
            heals_at,
            ..
        } = self;
        writeln!(
            f,
            "seed {seed}, {family}, store's clock at {server_rate:.4}, healed at {heals_at:?}"
        )?;
        writeln!(f, "{hazards:?}")?;
        for (at, disaster) in disasters {
            writeln!(f, "at {at:?}: {disaster:?}")?;
        }
        for (number, client) in clients.iter().enumerate() {
            for steps in client.workers.iter().filter(|steps| !steps.is_empty()) {
                let Client { ttl, rate, .. } = client;
                writeln!(
                    f,
                    "a worker of client {number}, TTL {ttl:?}, clock at {rate:.4}"
                )?;
                for step in steps {
                    writeln!(f, "    {step:?}")?;
                }
            }
        }
        Ok(())
    }
}
