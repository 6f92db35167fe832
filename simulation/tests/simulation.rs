//! The library keeps its promises in every run, and the simulation sees it when a store, or a
//! drift margin, does not.

use std::time::Duration;

use distlock_simulation::{Bug, Run, Setup, run};

/// How many seeds a planted fault has to be found in.
const CONTROL: u64 = 1_000;

#[test]
fn every_promise_is_kept_in_every_run() {
    let mut grants = 0;
    let mut handed_over = 0;
    for seed in 0..1_000 {
        let run = run(seed, &Setup::default());
        assert!(
            run.violations.is_empty(),
            "seed {seed}:\n{}\n{:#?}",
            run.history,
            run.violations
        );
        grants += run.history.grants();
        handed_over += usize::from(run.history.grants() >= 5);
    }
    // Where nothing happens, nothing is shown.
    assert!(
        grants > 5_000 && handed_over > 500,
        "{grants}, {handed_over}"
    );
}

#[test]
fn a_seed_makes_the_same_run_each_time() {
    for seed in 0..100 {
        let [first, second] = [(); 2].map(|()| run(seed, &Setup::default()).history);
        assert_eq!(first.to_string(), second.to_string(), "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn without_a_drift_margin_clocks_of_different_rates_make_guards_overlap() {
    let setup = Setup {
        drift: Some((0.0, Duration::ZERO)),
        server_rate: Some(1.05),
        ..Setup::default()
    };
    let found = first_violation(&setup, |run| {
        run.violations
            .iter()
            .any(|violation| violation.promise == "P4 (overlap)")
    });
    assert!(found.is_some(), "no overlap in {CONTROL} seeds");
}

#[test]
fn the_default_margin_covers_clocks_that_differ_less() {
    for seed in 0..CONTROL / 4 {
        let setup = Setup {
            server_rate: Some(1.0095),
            ..Setup::default()
        };
        assert_eq!(run(seed, &setup).violations, [], "seed {seed}");
    }
}

#[test]
fn every_bug_of_the_store_is_found() {
    for bug in Bug::ALL {
        let setup = Setup {
            bug: Some(bug),
            ..Setup::default()
        };
        let found = first_violation(&setup, |run| !run.violations.is_empty());
        let Some((seed, run)) = found else {
            panic!("{bug:?} is not found in {CONTROL} seeds");
        };
        println!("{bug:?}: seed {seed}, {}", run.violations[0]);
    }
}

fn first_violation(setup: &Setup, is_meant: impl Fn(&Run) -> bool) -> Option<(u64, Run)> {
    (0..CONTROL)
        .map(|seed| (seed, run(seed, setup)))
        .find(|(_, run)| is_meant(run))
}
