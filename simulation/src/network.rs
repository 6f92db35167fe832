use std::time::Duration;

use fastrand::Rng;

use crate::chance::Chance;
use crate::journey::{Journey, PROMPT};
use crate::plan::Plan;
use crate::plan::hazards::{Hazard, Hazards};

/// What lies between clients and the store, and what has gone wrong there. It knows messages by
/// their labels.
#[derive(Debug)]
pub(crate) struct Network {
    chance: Chance,
    hazards: Hazards,
    longest_delay: Duration,
    lines: Vec<Line>,
    /// Until when the store does nothing.
    server_paused: Duration,
    /// Whether anything was lost.
    pub(crate) has_lost: bool,
    /// Whether anything came after its sender had given it up or had its answer, or stays for longer
    /// than its sender can know.
    pub(crate) was_late: bool,
}

/// One client's line to the store.
#[derive(Clone, Debug, Default)]
struct Line {
    crashed: bool,
    cut_off: Duration,
    paused: Duration,
}

impl Network {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            chance: Chance::new(plan.seed),
            hazards: plan.hazards,
            longest_delay: plan.longest_delay(),
            lines: vec![Line::default(); plan.clients.len()],
            server_paused: Duration::ZERO,
            has_lost: false,
            was_late: false,
        }
    }

    /// From now on nothing goes wrong with what sets out.
    pub(crate) fn heal(&mut self) {
        self.hazards = Hazards::default();
        self.server_paused = Duration::ZERO;
        for line in &mut self.lines {
            (line.cut_off, line.paused) = (Duration::ZERO, Duration::ZERO);
        }
    }

    pub(crate) fn pause_server(&mut self, until: Duration) {
        self.server_paused = self.server_paused.max(until);
    }

    pub(crate) fn pause_client(&mut self, client: usize, until: Duration) {
        let line = &mut self.lines[client];
        line.paused = line.paused.max(until);
    }

    pub(crate) fn cut_off(&mut self, client: usize, until: Duration) {
        let line = &mut self.lines[client];
        line.cut_off = line.cut_off.max(until);
    }

    pub(crate) fn crash(&mut self, client: usize) {
        self.lines[client].crashed = true;
    }

    pub(crate) fn has_crashed(&self, client: usize) -> bool {
        self.lines[client].crashed
    }

    pub(crate) fn has_any_crashed(&self) -> bool {
        self.lines.iter().any(|line| line.crashed)
    }

    /// How long the store goes on doing nothing.
    pub(crate) fn server_pause(&self, now: Duration) -> Duration {
        self.server_paused.saturating_sub(now)
    }

    /// How long the client goes on hearing nothing.
    pub(crate) fn client_pause(&self, client: usize, now: Duration) -> Duration {
        self.lines[client].paused.saturating_sub(now)
    }

    /// What becomes of a request whose sender waits for its reply as long as `allowed`.
    pub(crate) fn request(
        &mut self,
        label: &str,
        client: usize,
        now: Duration,
        allowed: Duration,
    ) -> Journey {
        let rng = &mut self.chance.of(("request", label));
        self.journey(rng, client, now, allowed, Hazard::LoseRequest)
    }

    /// What becomes of a reply; the same request may have several.
    pub(crate) fn reply(
        &mut self,
        label: &str,
        client: usize,
        now: Duration,
        allowed: Duration,
    ) -> Journey {
        let rng = &mut self.chance.of(("reply", label, now));
        self.journey(rng, client, now, allowed, Hazard::LoseReply)
    }

    /// What becomes of a hint.
    pub(crate) fn hint(&self, label: &str, client: usize, now: Duration, ttl: Duration) -> Journey {
        let rng = &mut self.chance.of(("hint", label, now));
        if self.is_cut(client, now) || self.hazards.strikes(Hazard::LoseHint, rng) {
            return Journey::Lost;
        }
        let mut arrivals = vec![latency(rng)];
        if self.hazards.strikes(Hazard::SlowHint, rng) {
            arrivals[0] += ttl.mul_f64(rng.f64());
        }
        if self.hazards.strikes(Hazard::Duplicate, rng) {
            arrivals.push(latency(rng));
        }
        Journey::Arrives(arrivals)
    }

    /// What to choose a claim with that is to be told of something that has not happened, if any
    /// is.
    pub(crate) fn false_hint(&self, label: &str) -> Option<Rng> {
        let mut rng = self.chance.of(("false hint", label));
        let strikes = self.hazards.strikes(Hazard::FalseHint, &mut rng);
        strikes.then_some(rng)
    }

    fn is_cut(&self, client: usize, now: Duration) -> bool {
        let line = &self.lines[client];
        line.crashed || line.cut_off > now
    }

    fn journey(
        &mut self,
        rng: &mut Rng,
        client: usize,
        now: Duration,
        allowed: Duration,
        lose: Hazard,
    ) -> Journey {
        if self.is_cut(client, now) || self.hazards.strikes(lose, rng) {
            self.has_lost = true;
            return if rng.bool() {
                Journey::Lost
            } else {
                Journey::Refused(latency(rng))
            };
        }
        let mut arrivals = vec![self.delay(rng, allowed)];
        if self.hazards.strikes(Hazard::Duplicate, rng) {
            arrivals.push(self.delay(rng, allowed));
        }
        Journey::Arrives(arrivals)
    }

    fn delay(&self, rng: &mut Rng, allowed: Duration) -> Duration {
        if self.hazards.strikes(Hazard::Late, rng) {
            let beyond = self.longest_delay.saturating_sub(allowed);
            return allowed + beyond.mul_f64(rng.f64().powi(2));
        }
        if self.hazards.strikes(Hazard::Slow, rng) {
            return PROMPT + allowed.mul_f64(0.8 * rng.f64());
        }
        latency(rng)
    }
}

/// How long a message takes when nothing is wrong, in whole milliseconds, as timers count.
fn latency(rng: &mut Rng) -> Duration {
    PROMPT.mul_f64(f64::from(rng.u32(1..=4)) / 4.0)
}
