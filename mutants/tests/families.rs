//! What is wrong in front of any store is caught over those with sessions as well.

use std::collections::BTreeMap;

use distlock_conformance::Verdict;
use distlock_mutants::{Base, all, trial};

/// Dated too late by some milliseconds, which the slack of these stores covers, and wrong about an
/// expiry that they do not show.
const OF_SESSIONS: [u32; 3] = [12, 64, 94];

/// What a waiter is told, when it asks again, what it leaves when it goes, and how a try differs:
/// nothing of that comes up where a waiter waits within one request.
const BETWEEN_REQUESTS: [u32; 7] = [18, 25, 29, 73, 74, 76, 99];

#[test]
fn the_suite_catches_what_is_wrong_with_a_store_of_sessions() {
    all_are_caught_over(Base::Sessions, &OF_SESSIONS);
}

#[test]
fn the_suite_catches_what_is_wrong_with_a_store_that_waits_on_the_server() {
    let harmless: Vec<_> = BETWEEN_REQUESTS.into_iter().chain(OF_SESSIONS).collect();
    all_are_caught_over(Base::Blocking, &harmless);
}

/// By one of the cases that are meant to.
fn all_are_caught_over(base: Base, harmless: &[u32]) {
    let mut mutants = all();
    mutants.retain(|mutant| !harmless.contains(&mutant.number));
    let mut caught = BTreeMap::new();
    for tried in trial::run(trial::proof_over(&mutants, base)) {
        let number = tried.trial.mutant.number;
        *caught.entry(number).or_insert(false) |= matches!(tried.verdict, Verdict::Failed(_));
    }
    assert!(caught.len() > 30, "few mutants: {caught:?}");
    caught.retain(|_, caught| !*caught);
    assert!(caught.is_empty(), "over {base:?}, survived: {caught:?}");
}
