use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What came of a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// How often a second the name changed its owner, if all wanted one that has one holder; else
    /// how often something was acquired.
    pub rate: f64,
    /// How often a second something was acquired.
    pub acquisitions: f64,
    /// How often, of each task.
    pub granted: Vec<usize>,
    /// How long each acquisition took.
    pub waits: Waits,
}

/// What the task got that got the least, over what the one got that got the most.
#[must_use]
pub fn share(granted: &[usize]) -> f64 {
    let (least, most) = (granted.iter().min(), granted.iter().max());
    let share = least
        .zip(most)
        .map(|(least, most)| *least as f64 / (*most).max(1) as f64);
    share.unwrap_or(0.0)
}

/// Times of waiting, to two digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Waits(Histogram<u64>);

impl Waits {
    /// Adds one.
    pub fn add(&mut self, wait: Duration) {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    /// Adds all of these.
    pub fn add_all(&mut self, others: &Self) {
        for (nanos, count) in others.counts() {
            self.0.saturating_record_n(nanos, count);
        }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Which so great a share of all do not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.quantile(1.0)
    }

    fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value()))
    }
}

impl Default for Waits {
    fn default() -> Self {
        const HOUR: u64 = 3_600_000_000_000;
        Self(Histogram::new_with_bounds(1, HOUR, 2).expect("these bounds are in order"))
    }
}

impl From<Vec<(u64, u64)>> for Waits {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut waits = Self::default();
        for (nanos, count) in counts {
            waits.0.saturating_record_n(nanos, count);
        }
        waits
    }
}

impl From<Waits> for Vec<(u64, u64)> {
    fn from(waits: Waits) -> Self {
        waits.counts().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_of_who_got_least() {
        assert_eq!(share(&[2, 4, 3]), 0.5);
        assert_eq!([share(&[]), share(&[0, 0]), share(&[0, 7])], [0.0; 3]);
    }

    #[test]
    fn waits_are_the_same_after_they_were_sent() {
        let mut waits = Waits::default();
        for millis in 1..=100 {
            waits.add(Duration::from_millis(millis));
        }
        let sent = serde_json::to_string(&waits).unwrap();
        let got: Waits = serde_json::from_str(&sent).unwrap();
        let mut both = waits.clone();
        both.add_all(&got);
        for waits in [&waits, &got, &both] {
            let millis = |share| waits.quantile(share).as_secs_f64() * 1e3;
            assert!((millis(0.5) - 50.0).abs() < 1.0, "{}", millis(0.5));
            assert!((millis(0.99) - 99.0).abs() < 1.0, "{}", millis(0.99));
            assert!((waits.longest().as_secs_f64() - 0.1).abs() < 1e-3);
        }
    }
}
