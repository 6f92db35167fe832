use std::sync::{Mutex, MutexGuard, PoisonError};

use super::weather::Way;

/// One for each direction, for all connections of a proxy.
#[derive(Debug, Default)]
pub(super) struct Meters {
    to_server: Meter,
    to_client: Meter,
}

impl Meters {
    pub(super) fn of(&self, way: Way) -> &Meter {
        match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        }
    }
}

/// Counts the bytes that pass in one direction, and says at which one to break.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    passed: u64,
    breaks_at: Option<u64>,
}

impl Meter {
    pub(super) fn passed(&self) -> u64 {
        self.count().passed
    }

    pub(super) fn break_after(&self, bytes: u64) {
        let mut count = self.count();
        count.breaks_at = Some(count.passed + bytes);
    }

    pub(super) fn do_not_break(&self) {
        self.count().breaks_at = None;
    }

    /// How many of so many bytes may pass. Fewer than that: then the connection breaks.
    pub(super) fn admit(&self, wanted: usize) -> usize {
        let mut count = self.count();
        let end = count.passed + wanted as u64;
        let admitted = match count.breaks_at {
            Some(last) if last < end => {
                count.breaks_at = None;
                // Not more than what was wanted, which is a `usize`.
                (last - count.passed) as usize
            }
            _ => wanted,
        };
        count.passed += admitted as u64;
        admitted
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_everything_by_default() {
        let meter = Meter::default();
        assert_eq!(meter.admit(5), 5);
        assert_eq!(meter.admit(3), 3);
        assert_eq!(meter.passed(), 8);
    }

    #[test]
    fn breaks_once_where_it_was_told_to() {
        let meter = Meter::default();
        assert_eq!(meter.admit(5), 5);
        meter.break_after(10);
        assert_eq!(meter.admit(10), 10);
        assert_eq!(meter.admit(4), 0);
        assert_eq!(meter.admit(4), 4);
        meter.break_after(2);
        assert_eq!(meter.admit(4), 2);
        assert_eq!(meter.passed(), 21);
    }

    #[test]
    fn does_not_break_when_told_not_to() {
        let meter = Meter::default();
        meter.break_after(1);
        meter.do_not_break();
        assert_eq!(meter.admit(4), 4);
    }
}
