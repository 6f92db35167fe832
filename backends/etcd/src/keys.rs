use distlock_core::{Mode, Name};

/// Where the entries of one name are: `namespace/name/kind/entry`.
///
/// Locks and semaphores do not mix, nor do semaphores of different limits, so each kind has a
/// folder of its own: then one request can say whether there are entries of another.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// All of the name.
    pub(crate) name: Folder,
    /// Those of one kind.
    pub(crate) kind: Folder,
}

/// All keys that begin with this text, which ends with a slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Folder(String);

impl Keys {
    pub(crate) fn of(name: &Name, mode: Mode) -> Self {
        let folder = Folder::of(name);
        let kind = match mode {
            Mode::Permit { limit } => format!("permit-of-{limit}"),
            _ => "lock".to_owned(),
        };
        Self {
            kind: Folder(format!("{}{kind}/", folder.0)),
            name: folder,
        }
    }

    /// The key of one entry.
    pub(crate) fn entry(&self, entry: u128) -> String {
        format!("{}{entry:032x}", self.kind.0)
    }
}

impl Folder {
    pub(crate) fn of(name: &Name) -> Self {
        let (namespace, name) = name.encoded();
        Self(format!("{namespace}/{name}/"))
    }

    /// The first key that may be in it.
    pub(crate) fn start(&self) -> &str {
        &self.0
    }

    /// The first key behind it.
    pub(crate) fn end(&self) -> String {
        const BEHIND_SLASH: &str = "0";
        format!("{}{BEHIND_SLASH}", self.0.trim_end_matches('/'))
    }
}

/// Which entry a key is of.
pub(crate) fn entry_of(key: &[u8]) -> Option<u128> {
    let key = str::from_utf8(key).ok()?;
    u128::from_str_radix(key.rsplit('/').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_into_the_folder_of_another() {
        let folder = |name| Folder::of(&Name::in_namespace("shop", name).unwrap());
        let names = ["a", "a/b", "a/", "a0", "a%2Fb", "A", "ü", "."];
        for name in names {
            for other in names {
                let (name, other) = (folder(name), folder(other));
                let is_within = *other.0 >= *name.start() && other.0 < name.end();
                assert_eq!(is_within, name == other, "{name:?}, {other:?}");
            }
        }
    }

    #[test]
    fn a_key_tells_whose_it_is() {
        let name = Name::in_namespace("shop:eu", "a/b").unwrap();
        let keys = Keys::of(&name, Mode::Permit { limit: 3 });
        let key = keys.entry(0xbeef);
        assert!(key.starts_with("shop%3Aeu/a%2Fb/permit-of-3/"), "{key}");
        assert_eq!(entry_of(key.as_bytes()), Some(0xbeef));
        assert_eq!(entry_of(b"shop/a/lock/mine"), None);
    }
}
