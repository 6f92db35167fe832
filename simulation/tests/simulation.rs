//! The library keeps its promises in every run, and the simulation sees it when a store, or a
//! clock, does not.

use distlock_simulation::{
    Bug, Clocks, Family, Plan, Promise, Run, Setup, Tally, replay, run, shrink,
};

/// How many seeds a planted fault has to be found in.
const CONTROL: u64 = 1_000;

#[test]
fn every_promise_is_kept_in_every_run_and_much_happens_in_them() {
    const RUNS: u64 = 400;
    let mut tally = Tally::default();
    for seed in 0..RUNS {
        let setup = Setup::default();
        let run = run(seed, &setup);
        if let Some(violation) = run.violations.first() {
            let (plan, short) = shrink(&Plan::draw(seed, &setup), &setup, violation.promise);
            panic!("{}\n{plan}\n{:#?}", short.history, short.violations);
        }
        tally += Tally::of(&run.history);
    }
    println!("{tally}");
    // Where nothing happens, nothing is shown.
    assert!(tally.grants() > 5 * RUNS, "{tally}");
    assert_eq!((tally.faults.len(), tally.uses.len()), (18, 15), "{tally}");
    for (what, times) in tally.faults.iter().chain(&tally.uses) {
        // Often enough to be met together with each of the others.
        assert!(times * 10 >= RUNS, "{what}: {times} times in {RUNS} runs");
    }
}

#[test]
fn a_seed_makes_the_same_run_each_time() {
    for seed in 0..50 {
        let [first, second] = [(); 2].map(|()| run(seed, &Setup::default()).history);
        let mut both = first.events().iter().zip(second.events());
        let differ = both.find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(first.events().len(), second.events().len(), "seed {seed}");
    }
}

#[test]
fn clocks_whose_rates_differ_by_more_than_the_margin_make_guards_overlap() {
    let setup = Setup {
        clocks: Clocks::BeyondMargin,
        // The slack of sessions makes up for much.
        family: Some(Family::Queue),
        ..Setup::default()
    };
    for promise in [Promise::Validity, Promise::Overlap] {
        let found = first(&setup, |run| breaks(run, promise));
        let (seed, _) = found.unwrap_or_else(|| panic!("{promise:?} kept in {CONTROL} seeds"));
        println!("{promise:?}: seed {seed}");
    }
}

#[test]
fn every_bug_of_the_store_is_found() {
    for family in Family::ALL {
        for bug in Bug::ALL.iter().filter(|bug| bug.befalls(family)) {
            let setup = Setup {
                bug: Some(*bug),
                family: Some(family),
                ..Setup::default()
            };
            let found = first(&setup, |run| !run.violations.is_empty());
            let (seed, run) = found.unwrap_or_else(|| panic!("{family}, {bug:?}: not found"));
            println!("{family}, {bug:?}: seed {seed}, {}", run.violations[0]);
        }
    }
}

#[test]
fn a_guard_that_is_over_when_it_is_handed_out_is_found() {
    let setup = Setup {
        bug: Some(Bug::GoneBeforeGrant),
        family: Some(Family::Queue),
        ..Setup::default()
    };
    let found = first(&setup, |run| breaks(run, Promise::Validity));
    let (seed, _) = found.unwrap_or_else(|| panic!("not in {CONTROL} seeds"));
    println!("seed {seed}");
}

#[test]
fn a_failing_run_is_cut_to_what_it_needs() {
    for (bug, promise) in [
        (Bug::ReadersBesideWriter, Promise::Exclusion),
        (Bug::RestartExpires, Promise::Ttl),
        (Bug::DatedFromAnswer, Promise::Validity),
    ] {
        let setup = Setup {
            bug: Some(bug),
            family: Some(Family::Queue),
            ..Setup::default()
        };
        let found = first(&setup, |run| breaks(run, promise));
        let (seed, long) = found.unwrap_or_else(|| panic!("{bug:?} not found"));
        let (plan, short) = shrink(&Plan::draw(seed, &setup), &setup, promise);
        assert!(breaks(&short, promise), "{bug:?}");
        // Two that meet, and at most one that makes up the time.
        assert!(plan.steps() <= 3, "{bug:?}:\n{plan}");
        assert_eq!(replay(&plan, &setup).history, short.history, "{bug:?}");
        let [long, short] = [&long, &short].map(|run| run.history.events().len());
        assert!(short * 4 < long, "{bug:?}: {short} of {long} events");
    }
}

fn breaks(run: &Run, promise: Promise) -> bool {
    run.violations.iter().any(|found| found.promise == promise)
}

fn first(setup: &Setup, is_meant: impl Fn(&Run) -> bool) -> Option<(u64, Run)> {
    (0..CONTROL)
        .map(|seed| (seed, run(seed, setup)))
        .find(|(_, run)| is_meant(run))
}
