use std::ops::RangeInclusive;
use std::time::Duration;

/// The TTLs at which a client has sessions: the shortest that the store takes, doubled up to seven
/// times, as far as the store takes it.
///
/// A TTL is any value a user likes, and a session for each would be a lease, or even a connection,
/// for each. A claim gets the longest of these that is not above what was asked for. Beyond the
/// last there is nothing to gain: a longer TTL only means that fewer heartbeats are sent, and that
/// a crash goes unnoticed for longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder(Vec<Duration>);

impl Ladder {
    const RUNGS: u32 = 8;

    /// The ladder of a store that takes these TTLs.
    ///
    /// # Panics
    /// If the shortest of them is zero.
    pub fn new(ttl: &RangeInclusive<Duration>) -> Self {
        assert!(!ttl.start().is_zero(), "no session lives for no time");
        let rungs = (0..Self::RUNGS).filter_map(|rung| ttl.start().checked_mul(1 << rung));
        Self(rungs.take_while(|rung| rung <= ttl.end()).collect())
    }

    /// The TTL in force for a claim that asks for this one.
    pub fn in_force(&self, asked: Duration) -> Duration {
        self.0[self.place(asked)]
    }

    /// Which rung that is.
    pub(super) fn place(&self, asked: Duration) -> usize {
        let above = self.0.partition_point(|rung| *rung <= asked);
        above.saturating_sub(1)
    }

    pub(super) fn rungs(&self) -> &[Duration] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn doubles_up_to_eight_rungs_within_what_the_store_takes() {
        let all = |ladder: Ladder| ladder.0;
        assert_eq!(all(Ladder::new(&(ms(5)..=ms(5)))), [ms(5)]);
        assert_eq!(all(Ladder::new(&(ms(5)..=ms(39)))), [ms(5), ms(10), ms(20)]);
        let long = all(Ladder::new(&(ms(1)..=Duration::MAX)));
        assert_eq!(long, [1, 2, 4, 8, 16, 32, 64, 128].map(ms));
        let longest = Duration::MAX;
        assert_eq!(all(Ladder::new(&(longest..=longest))), [longest]);
    }

    #[test]
    fn a_ttl_is_rounded_down_to_a_rung() {
        let ladder = Ladder::new(&(ms(10)..=Duration::MAX));
        let asked = [10, 19, 20, 21, 39, 40, 1279, 1280, 1_000_000];
        let in_force = [10, 10, 20, 20, 20, 40, 640, 1280, 1280];
        assert_eq!(asked.map(|ttl| ladder.in_force(ms(ttl))), in_force.map(ms));
    }
}
