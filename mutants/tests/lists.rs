//! The lists of mutants do not rot.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use distlock_conformance::cases;
use distlock_mutants::{all, passages, table};

fn read(file: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(workspace.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn each_passage_of_the_engine_stands_there_once() {
    for passage in passages() {
        let (number, file) = (passage.number, passage.file);
        let found = read(file).matches(passage.text).count();
        assert_eq!(found, 1, "mutant {number}: `{}` in {file}", passage.text);
        assert_ne!(passage.text, passage.instead, "mutant {number} is none");
    }
}

#[test]
fn each_killer_is_a_case() {
    let cases: HashSet<_> = cases().collect();
    let (mutants, passages) = (all(), passages());
    let of_stores = mutants.iter().flat_map(|mutant| &mutant.killers);
    let of_engines = passages.iter().flat_map(|passage| &passage.killers);
    for killer in of_stores.chain(of_engines) {
        assert!(cases.contains(killer.case), "{}", killer.case);
        assert!(!killer.says.is_empty(), "{} says nothing", killer.case);
    }
}

#[test]
fn each_mutant_has_a_number_of_its_own_and_a_killer() {
    let mut numbers = HashSet::new();
    for mutant in all() {
        assert!(numbers.insert(mutant.number), "{mutant:?}");
        assert!(!mutant.killers.is_empty(), "{mutant:?}");
    }
    for passage in passages() {
        assert!(numbers.insert(passage.number), "{passage:?}");
        assert!(!passage.killers.is_empty(), "{passage:?}");
    }
}

#[test]
fn the_table_is_up_to_date() {
    assert!(
        read("docs/mutants.md") == table(),
        "run `cargo xtask mutants table`"
    );
}
