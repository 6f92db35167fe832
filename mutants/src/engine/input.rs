use super::Passage;

const KINDS: &str = "core/src/locks/kinds.rs";

pub(super) fn passages() -> Vec<Passage> {
    vec![
        Passage::new(
            248,
            "takes any text for a name",
            "core/src/name.rs",
            "let fault = if text.is_empty() {",
            "if true {
        let _ = max_bytes;
        return Ok(());
    }
    let fault = if text.is_empty() {",
        )
        .killed_by("input::bad_names", "it succeeded")
        .killed_by("input::bad_namespaces", "it succeeded")
        .killed_by("input::labels", "it succeeded"),
        Passage::new(
            249,
            "takes any TTL",
            "core/src/ttl.rs",
            "if range.contains(&ttl) {",
            "if true {",
        )
        .killed_by("input::ttls_out_of_range", "of kind InvalidInput")
        .killed_by("input::a_default_ttl_out_of_range", "of kind InvalidInput"),
        Passage::new(
            250,
            "takes a semaphore of nothing",
            KINDS,
            "if self.mode == (Mode::Permit { limit: 0 }) {",
            "if false {",
        )
        .killed_by("input::limits_of_permits", "expected an answer"),
        Passage::new(
            251,
            "takes a hold of no length",
            KINDS,
            "if self.max_hold == Some(Duration::ZERO) {",
            "if false {",
        )
        .killed_by("input::times_to_hold", "it succeeded"),
    ]
}
