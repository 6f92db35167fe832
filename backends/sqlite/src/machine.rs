//! Which machine this is, and which run of it.

use distlock_core::queue::StoreTime;
use distlock_core::{Error, ErrorKind, Result};

/// Where Linux systems keep an id that stays the same across reboots.
const MACHINE_ID_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// This machine and its present boot, as a database file remembers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The same across reboots. `None`: the system does not tell.
    pub(crate) id: Option<String>,
    /// Different after each reboot; the same for all containers on one kernel.
    pub(crate) boot: String,
}

impl Machine {
    /// This machine, under the id that its user gave it or that its system has.
    pub(crate) fn this(given: Option<&str>) -> Result<Self> {
        let id = match given {
            Some("") => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a machine's id is not empty; leave it out for the system's own",
                ));
            }
            Some(given) => Some(given.to_owned()),
            None => MACHINE_ID_FILES.iter().find_map(|file| system_id(file)),
        };
        Ok(Self {
            id,
            boot: StoreTime::since_boot()?.epoch().to_owned(),
        })
    }

    /// Whether a file that remembers `other` may be used here.
    ///
    /// The same boot is the same clock, whatever the ids say: containers have ids of their own.
    /// Another boot is fine if it is the same machine, rebooted.
    pub(crate) fn may_use_file_of(&self, other: &Self) -> Result<()> {
        if self.boot == other.boot || (self.id.is_some() && self.id == other.id) {
            return Ok(());
        }
        let message = match (&self.id, &other.id) {
            (Some(here), Some(there)) => format!(
                "the file belongs to the machine `{there}` and this is `{here}`: a file shared between \
                 machines would grant locks twice. Give each machine a file of its own, or all of \
                 them a store with a server; if this is the same machine with a new id, delete the \
                 file or set the option `machine`"
            ),
            _ => "the file is from another boot, and this system does not tell whether of this \
                  machine (there is no /etc/machine-id): set the option `machine`, to a different \
                  id on each machine, or delete the file"
                .to_owned(),
        };
        Err(Error::new(ErrorKind::Misconfigured, message))
    }
}

fn system_id(file: &str) -> Option<String> {
    let id = std::fs::read_to_string(file).ok()?.trim().to_owned();
    // systemd writes `uninitialized` while the first boot is under way.
    (!id.is_empty() && id != "uninitialized").then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: Option<&str>, boot: &str) -> Machine {
        Machine {
            id: id.map(str::to_owned),
            boot: boot.to_owned(),
        }
    }

    #[test]
    fn a_reboot_is_fine_and_another_machine_is_not() {
        let file = machine(Some("a"), "1");
        for here in [
            machine(Some("a"), "1"),
            machine(Some("a"), "2"),
            machine(Some("b"), "1"),
            machine(None, "1"),
        ] {
            here.may_use_file_of(&file).unwrap();
        }
        for here in [machine(Some("b"), "2"), machine(None, "2")] {
            let error = here.may_use_file_of(&file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains("`machine`"), "{error}");
        }
        assert!(
            machine(None, "2")
                .may_use_file_of(&machine(None, "1"))
                .is_err()
        );
    }

    #[test]
    fn an_empty_id_is_refused() {
        assert_eq!(
            Machine::this(Some("")).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
