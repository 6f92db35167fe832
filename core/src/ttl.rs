//! How long the store keeps a claim without hearing from its client.

use std::time::Duration;

use crate::capability::Capabilities;
use crate::error::{Error, Result};

/// The TTL of a claim that chose none.
///
/// Long enough that a renewal (each third of it) can fail twice and a garbage collection or a
/// leader election pass unnoticed; short enough that people wait out a crash without reaching for a
/// manual.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(15);

/// How long a store keeps a hold, or a place in line, without hearing from its client; within what
/// that store accepts, and as it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(Duration);

impl Ttl {
    /// The TTL in force at the store of these capabilities for one that was asked for:
    /// [`Capabilities::ttl_in_force`].
    ///
    /// # Errors
    /// `InvalidInput` outside of the store's range, naming the range.
    pub fn new(ttl: Duration, capabilities: &Capabilities) -> Result<Self> {
        let range = &capabilities.ttl;
        if range.contains(&ttl) {
            return Ok(Self(capabilities.ttl_in_force(ttl)));
        }
        Err(Error::invalid(format!(
            "a TTL is {:?} to {:?} on the {} store; it is {ttl:?}",
            range.start(),
            range.end(),
            capabilities.store,
        )))
    }

    /// The TTL as a duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_the_store_s_and_the_error_tells_it() {
        let second = Duration::from_secs(1);
        let capabilities = Capabilities::new("test", second..=second * 60);
        for good in [second, second * 60] {
            assert_eq!(Ttl::new(good, &capabilities).unwrap().get(), good);
        }
        for bad in [Duration::ZERO, second / 2, second * 61, Duration::MAX] {
            let error = Ttl::new(bad, &capabilities).unwrap_err().to_string();
            assert!(error.contains("1s to 60s on the test store"), "{error}");
        }
    }
}
