//! What is known of the versions of the server.

use distlock_core::{Error, ErrorKind, Result};

/// A version, as far as it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

/// Refuses a server that is too old, and warns of one that is known to end leases at a wrong time.
pub(crate) fn check(told: &str) -> Result<()> {
    let Some(version) = Version::parsed(told) else {
        // None that is known to be too old.
        return Ok(());
    };
    if version < Version(3, 4, 0) {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!("the server is etcd {told}; locks take etcd 3.4 or newer"),
        ));
    }
    if let Some(flaw) = version.flaw() {
        tracing::warn!(version = told, "this version of etcd {flaw}");
    }
    Ok(())
}

impl Version {
    fn parsed(told: &str) -> Option<Self> {
        let release = told.split(['-', '+']).next()?;
        let mut numbers = release.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self(next()?, next()?, next()?))
    }

    /// A holder is told of a lease that ends too early, but perhaps after another has the lock.
    fn flaw(self) -> Option<&'static str> {
        let is_old_leader_obeyed =
            self < Self(3, 4, 31) || (Self(3, 5, 0)..Self(3, 5, 13)).contains(&self);
        match (is_old_leader_obeyed, self < Self(3, 5, 0)) {
            (true, true) => Some(
                "may end leases that were renewed in time, after its leader was stalled, and keep \
                 those of dead clients, while its leader's clock is set back; 3.5.13 and newer do \
                 neither",
            ),
            (true, false) => Some(
                "may end leases that were renewed in time, after its leader was stalled; 3.5.13 \
                 and newer do not",
            ),
            (false, true) => Some(
                "may keep leases of dead clients, while its leader's clock is set back; 3.5 and \
                 newer do not",
            ),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for told in ["2.3.8", "3.3.25", "3.3.27+git"] {
            let error = check(told).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains(told), "{error}");
        }
        for told in ["3.4.0", "3.4.23", "3.5.0-rc.1", "3.10.1", "4.0.0", "?", ""] {
            check(told).unwrap();
        }
    }

    #[test]
    fn flaws_are_known_by_version() {
        let flaw = |told| Version::parsed(told).unwrap().flaw();
        for told in ["3.4.23", "3.4.30"] {
            assert!(flaw(told).unwrap().contains("stalled, and"), "{told}");
        }
        for told in ["3.5.0", "3.5.12"] {
            assert!(flaw(told).unwrap().contains("stalled; "), "{told}");
        }
        assert!(flaw("3.4.31").unwrap().contains("clock"));
        for told in ["3.5.13", "3.6.0", "3.10.0"] {
            assert_eq!(flaw(told), None, "{told}");
        }
    }
}
