use std::time::Duration;

use fastrand::Rng;

/// Something that befalls a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disaster {
    /// The store does nothing for so long.
    ServerPauses(Duration),
    /// Nothing reaches a client for so long.
    ClientPauses(usize, Duration),
    /// Nothing passes between a client and the store for so long.
    CutsOff(usize, Duration),
    /// A client is no more.
    Crashes(usize),
}

/// When it does.
pub(crate) type Planned = (Duration, Disaster);

impl Disaster {
    pub(crate) fn draw(
        rng: &mut Rng,
        clients: usize,
        longest_ttl: Duration,
        within: Duration,
    ) -> Planned {
        let at = within.mul_f64(rng.f64());
        let client = rng.usize(0..clients);
        let length = longest_ttl.mul_f64(2.0 * rng.f64());
        let disaster = match rng.u32(0..8) {
            0 | 1 => Self::ServerPauses(length),
            2 | 3 => Self::ClientPauses(client, length),
            4..=6 => Self::CutsOff(client, length),
            _ => Self::Crashes(client),
        };
        (at, disaster)
    }
}
