use distlock_core::Name;
use sha2::{Digest, Sha256};

/// What the server knows a name by: the key of an advisory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) i64);

impl Key {
    /// The first 64 bits of the hash of a name with its namespace. Neither has a control character,
    /// so no two of them are written alike.
    pub(crate) fn of(name: &Name) -> Self {
        let hash = Sha256::new()
            .chain_update(name.namespace())
            .chain_update([0])
            .chain_update(name.as_str())
            .finalize();
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = hash.into();
        Self(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> i64 {
        Key::of(&Name::in_namespace(namespace, name).unwrap()).0
    }

    /// A change of the rule would let two versions of this library hold the same name.
    #[test]
    fn the_rule_never_changes() {
        assert_eq!(key("distlock", "orders/42"), KNOWN);
    }

    #[test]
    fn namespace_and_name_do_not_run_together() {
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }

    /// `printf 'distlock\0orders/42' | sha256sum`
    const KNOWN: i64 = 0xcdde_2c96_253f_1c78_u64.cast_signed();
}
