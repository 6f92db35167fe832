use std::time::Duration;

use fastrand::Rng;

/// Something that befalls a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Disaster {
    /// The store does nothing for so long.
    ServerPauses(Duration),
    /// Nothing reaches a client for so long.
    ClientPauses(usize, Duration),
    /// Nothing passes between a client and the store for so long.
    CutsOff(usize, Duration),
    /// A client is no more.
    Crashes(usize),
    /// The store loses all it knows, or all it knows of one name, and is back after so long.
    Forgets {
        name: Option<usize>,
        /// Whether it tells those whose holds that ends.
        tells: bool,
        away: Duration,
    },
    /// The store begins each TTL anew, as one with a new leader does, and is back after so long.
    RestartsTtls { away: Duration },
}

/// When it does.
pub(crate) type Planned = (Duration, Disaster);

impl Disaster {
    pub(crate) fn draw(
        rng: &mut Rng,
        clients: usize,
        names: usize,
        longest_ttl: Duration,
        within: Duration,
    ) -> Planned {
        let at = within.mul_f64(rng.f64());
        let client = rng.usize(0..clients);
        let length = longest_ttl.mul_f64(0.3 + 2.0 * rng.f64());
        // Never at once: what the store does after it has lost its memory comes later than what it
        // did before, by every clock.
        let away = Duration::from_millis(2) + longest_ttl.mul_f64(0.5 * rng.f64().powi(2));
        let disaster = match rng.u32(0..15) {
            0 | 1 => Self::ServerPauses(length),
            2 | 3 => Self::ClientPauses(client, length),
            4..=6 => Self::CutsOff(client, length),
            7 => Self::Crashes(client),
            8 | 9 => Self::RestartsTtls { away },
            _ => Self::Forgets {
                name: rng.bool().then(|| rng.usize(0..names)),
                tells: rng.bool(),
                away,
            },
        };
        (at, disaster)
    }
}
