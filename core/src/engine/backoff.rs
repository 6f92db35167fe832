use std::time::Duration;

/// How long to wait before asking a store again that has failed `failures` times in a row: doubling
/// from a hundredth of the TTL to a sixth, within sane bounds, and drawn from the upper half of
/// that at random so that clients which failed together do not come back together.
pub(super) fn pause(ttl: Duration, failures: u32) -> Duration {
    const LEAST: Duration = Duration::from_millis(1);
    let first = (ttl / 100).clamp(LEAST, Duration::from_millis(50));
    let most = (ttl / 6).clamp(LEAST, Duration::from_secs(2));
    let full = first
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(most);
    full.mul_f64(0.5 + 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_sixth_of_the_ttl_and_is_never_nothing() {
        let ttl = Duration::from_secs(6);
        for (failures, full) in [(1, 50), (2, 100), (3, 200), (9, 1000), (u32::MAX, 1000)] {
            let full = Duration::from_millis(full);
            for _ in 0..100 {
                let pause = pause(ttl, failures);
                assert!(full / 2 <= pause && pause <= full, "{failures}: {pause:?}");
            }
        }
        assert!(pause(Duration::from_millis(10), 1) >= Duration::from_micros(500));
    }
}
