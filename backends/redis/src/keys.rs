use distlock_core::Name;

/// The keys of one name: all in one slot of a cluster, and those of no other name.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) record: String,
    pub(crate) line: String,
    pub(crate) ends: String,
}

impl Keys {
    pub(crate) fn of(name: &Name) -> Self {
        let (namespace, name) = name.encoded();
        let record = format!("{namespace}:{{{name}}}");
        Self {
            line: format!("{record}:line"),
            ends: format!("{record}:ends"),
            record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_keys_of_its_own_in_one_slot() {
        let keys = Keys::of(&Name::in_namespace("shop:eu", "{a}/ü%2F").unwrap());
        assert_eq!(keys.record, "shop%3Aeu:{%7Ba%7D%2F%C3%BC%252F}");
        for key in [&keys.line, &keys.ends] {
            assert!(key.starts_with(&keys.record), "{key}");
        }
    }
}
