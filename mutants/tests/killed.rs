//! Each mutant is caught, and by the cases that are meant to.

use distlock_mutants::{all, trial};

#[test]
fn the_suite_catches_every_mutant_by_the_cases_that_are_meant_to() {
    let mutants = all();
    let tried = trial::run(trial::proof(&mutants));
    let complaints: Vec<_> = tried.iter().filter_map(|tried| tried.complaint()).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
