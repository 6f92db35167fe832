use std::time::Duration;

use fastrand::Rng;

use crate::message::Journey;
use crate::plan::Hazards;

/// What lies between clients and the store, and what has gone wrong there.
#[derive(Debug)]
pub(crate) struct Network {
    hazards: Hazards,
    longest_delay: Duration,
    lines: Vec<Line>,
    /// Until when the store does nothing.
    server_paused: Duration,
    /// Whether anything was lost.
    pub(crate) has_lost: bool,
    /// Whether anything came after its sender had given it up.
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
    pub(crate) fn new(hazards: Hazards, longest_delay: Duration, clients: usize) -> Self {
        Self {
            hazards,
            longest_delay,
            lines: vec![Line::default(); clients],
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

    pub(crate) fn request(
        &mut self,
        rng: &mut Rng,
        client: usize,
        now: Duration,
        allowed: Duration,
    ) -> Journey {
        self.journey(rng, client, now, allowed, self.hazards.lose_request)
    }

    pub(crate) fn reply(
        &mut self,
        rng: &mut Rng,
        client: usize,
        now: Duration,
        allowed: Duration,
    ) -> Journey {
        self.journey(rng, client, now, allowed, self.hazards.lose_reply)
    }

    /// What becomes of a hint that somebody's turn has come.
    pub(crate) fn push(
        &self,
        rng: &mut Rng,
        client: usize,
        now: Duration,
        ttl: Duration,
    ) -> Journey {
        let Hazards {
            lose_push,
            slow_push,
            duplicate,
            ..
        } = self.hazards;
        if self.is_cut(client, now) || rng.f64() < lose_push {
            return Journey::Lost;
        }
        let mut arrivals = vec![latency(rng)];
        if rng.f64() < slow_push {
            arrivals[0] += ttl.mul_f64(rng.f64());
        }
        if rng.f64() < duplicate {
            arrivals.push(latency(rng));
        }
        Journey::Arrives(arrivals)
    }

    /// Whether some claim is to be told of a turn that has not come.
    pub(crate) fn pushes_nonsense(&self, rng: &mut Rng) -> bool {
        rng.f64() < self.hazards.spurious_push
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
        lose: f64,
    ) -> Journey {
        if self.is_cut(client, now) || rng.f64() < lose {
            self.has_lost = true;
            return if rng.bool() {
                Journey::Lost
            } else {
                Journey::Refused(latency(rng))
            };
        }
        let mut arrivals = vec![self.delay(rng, allowed)];
        if rng.f64() < self.hazards.duplicate {
            arrivals.push(self.delay(rng, allowed));
        }
        Journey::Arrives(arrivals)
    }

    fn delay(&self, rng: &mut Rng, allowed: Duration) -> Duration {
        let latency = latency(rng);
        if rng.f64() < self.hazards.late {
            let beyond = self.longest_delay.saturating_sub(allowed);
            return allowed + beyond.mul_f64(rng.f64().powi(2));
        }
        if rng.f64() < self.hazards.slow {
            return latency + allowed.mul_f64(0.8 * rng.f64());
        }
        latency
    }
}

/// How long a message takes when nothing is wrong, in whole milliseconds, as timers count.
fn latency(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(1..=4))
}
