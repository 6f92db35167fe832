use std::hash::{DefaultHasher, Hash, Hasher};

use distlock_core::{Name, Result};

use crate::flawed::Flaw;
use crate::mutant::Mutant;

const TAKEN: &str = "is taken for one of the names before it";
const ALIKE: &str = "names::names_that_look_alike_are_different_locks";

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        mistaking(32, "drops what follows a second slash", |name| {
            let slashes = name.as_str().match_indices('/');
            match slashes.map(|(at, _)| at).filter(|at| *at > 0).nth(1) {
                Some(second) => spelt(name, &name.as_str()[..second]),
                None => Ok(name.clone()),
            }
        })
        .killed_by(ALIKE, TAKEN),
        mistaking(
            33,
            "does not tell capital letters from small ones",
            |name| spelt(name, &name.as_str().to_lowercase()),
        )
        .killed_by(ALIKE, TAKEN),
        mistaking(34, "keeps names as a hash of 16 bits", |name| {
            let mut hasher = DefaultHasher::new();
            name.as_str().hash(&mut hasher);
            spelt(name, &format!("{:04x}", hasher.finish() & 0xffff))
        })
        .killed_by(
            "many::a_thousand_names_held_at_once",
            "none of a thousand names is taken for another",
        ),
        mistaking(85, "trims names", |name| match name.as_str().trim() {
            "" => Ok(name.clone()),
            trimmed => spelt(name, trimmed),
        })
        .killed_by(ALIKE, TAKEN),
        mistaking(86, "decodes what looks like percent-encoding", |name| {
            spelt(name, &name.as_str().replace("%2F", "/").replace("%25", "%"))
        })
        .killed_by(ALIKE, TAKEN),
        mistaking(87, "keeps names in a normal form", |name| {
            spelt(name, &name.as_str().replace("e\u{301}", "é"))
        })
        .killed_by(ALIKE, TAKEN),
        mistaking(88, "cuts names off after 255 bytes", |name| {
            let end = name.as_str().floor_char_boundary(255);
            spelt(name, &name.as_str()[..end])
        })
        .killed_by("names::long_names_are_told_apart_to_the_last_byte", TAKEN),
        mistaking(89, "forgets the namespace", |name| {
            Name::in_namespace("all", name.as_str())
        })
        .killed_by("names::namespaces_are_separate", "is taken for another"),
        mistaking(90, "joins namespace and name by a slash", |name| {
            let joined = format!("{}/{}", name.namespace(), name.as_str());
            let start = joined.len().saturating_sub(Name::MAX_BYTES);
            Name::in_namespace("all", &joined[joined.ceil_char_boundary(start)..])
        })
        .killed_by("names::namespaces_are_separate", "is taken for another"),
    ]
}

/// A store that makes this of the names it is given.
fn mistaking(number: u32, does: &'static str, name: fn(&Name) -> Result<Name>) -> Mutant {
    Mutant::flawed(number, does, Flaw { name, ..Flaw::NONE })
}

/// The name in this spelling.
fn spelt(name: &Name, spelling: &str) -> Result<Name> {
    Name::in_namespace(name.namespace(), spelling)
}
