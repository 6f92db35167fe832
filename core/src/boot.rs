//! The clock that all processes of one machine share.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// The time since this machine booted, suspension included, and the id of this boot. Nobody can
/// step it.
///
/// # Errors
/// `Unsupported` where the system has no such clock or does not tell which boot it is.
pub(crate) fn since_boot() -> Result<(Duration, Arc<str>)> {
    cfg_if::cfg_if! {
        if #[cfg(any(target_os = "linux", target_os = "android"))] {
            linux::since_boot()
        } else {
            Err(missing("a clock since boot"))
        }
    }
}

fn missing(what: &str) -> Error {
    let message = format!(
        "a store for the processes of one machine needs {what}, which this system does not have; \
         use a store with a server"
    );
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::sync::OnceLock;

    use nix::time::{ClockId, clock_gettime};

    use super::{Arc, Duration, Result, missing};

    const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
    /// How far the clocks of this process's time namespace are ahead of the machine's
    /// (time_namespaces(7)). Absent from kernels that have none.
    const OFFSETS: &str = "/proc/self/timens_offsets";

    struct Boot {
        id: Arc<str>,
        /// Nanoseconds by which this process's clock is ahead of the machine's.
        ahead: i128,
    }

    pub(super) fn since_boot() -> Result<(Duration, Arc<str>)> {
        static BOOT: OnceLock<Boot> = OnceLock::new();
        let boot = match BOOT.get() {
            Some(boot) => boot,
            None => {
                let read = read_boot()?;
                BOOT.get_or_init(|| read)
            }
        };
        let here = clock_gettime(ClockId::CLOCK_BOOTTIME)
            .map_err(|error| missing("CLOCK_BOOTTIME").with_source(error))?;
        let here = Duration::from(here).as_nanos();
        let machine = i128::try_from(here)
            .unwrap_or(i128::MAX)
            .saturating_sub(boot.ahead);
        let nanos = u64::try_from(machine.max(0)).unwrap_or(u64::MAX);
        Ok((Duration::from_nanos(nanos), Arc::clone(&boot.id)))
    }

    fn read_boot() -> Result<Boot> {
        let id = std::fs::read_to_string(BOOT_ID)
            .map_err(|error| missing(BOOT_ID).with_source(error))?;
        let ahead = match std::fs::read_to_string(OFFSETS) {
            Ok(offsets) => boottime_offset(&offsets).ok_or_else(|| missing(OFFSETS))?,
            Err(_) => 0,
        };
        Ok(Boot {
            id: id.trim().into(),
            ahead,
        })
    }

    /// The line `boottime SECONDS NANOSECONDS`, as nanoseconds.
    fn boottime_offset(offsets: &str) -> Option<i128> {
        let line = offsets
            .lines()
            .find_map(|line| line.trim().strip_prefix("boottime"))?;
        let mut numbers = line.split_whitespace().map(str::parse::<i128>);
        let (seconds, nanos) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(seconds * 1_000_000_000 + nanos)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_offset_of_a_time_namespace_is_read() {
            for (offsets, nanos) in [
                (
                    "monotonic           0         0\nboottime            0         0\n",
                    Some(0),
                ),
                (
                    "monotonic 5 0\nboottime  100000  7\n",
                    Some(100_000_000_000_007),
                ),
                (
                    "monotonic 5 0\nboottime  -3  500000000\n",
                    Some(-2_500_000_000),
                ),
                ("monotonic 5 0\n", None),
                ("boottime soon", None),
            ] {
                assert_eq!(boottime_offset(offsets), nanos, "{offsets}");
            }
        }

        #[test]
        fn it_goes_on() {
            let (first, boot) = since_boot().unwrap();
            let (second, same) = since_boot().unwrap();
            assert!(first <= second && boot == same && !boot.is_empty());
        }
    }
}
