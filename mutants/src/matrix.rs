//! Which cases are of any use: each is tried on one mutant after the other until it notices.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use distlock_conformance::{Verdict, cases, check};
use distlock_mutants::trial::AT_ONCE;
use distlock_mutants::{Mutant, all};

/// Prints the first mutant that each case notices. Those that are known as killers are left out.
pub(crate) fn run() -> ExitCode {
    let mutants = all();
    let is_killer = |case: &str| {
        let mut killers = mutants.iter().flat_map(|mutant| &mutant.killers);
        killers.any(|killer| killer.case == case)
    };
    let cases = Mutex::new(cases().filter(|case| !is_killer(case)));
    let next = || cases.lock().ok().and_then(|mut cases| cases.next());
    thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some(case) = next() {
                    println!("{case}: {}", noticed(&mutants, &case));
                }
            });
        }
    });
    ExitCode::SUCCESS
}

/// What the case notices first.
fn noticed(mutants: &[Mutant], case: &str) -> String {
    for mutant in near_first(mutants, case) {
        match check(Arc::new(mutant.store(mutant.base)), case) {
            Verdict::Passed => {}
            Verdict::Failed(failure) => return format!("{}: {failure}", mutant.number),
            verdict => return format!("{verdict:?}"),
        }
    }
    "nothing".to_owned()
}

/// The mutants, those first that break the promise of this case.
fn near_first<'a>(mutants: &'a [Mutant], case: &str) -> Vec<&'a Mutant> {
    let promise = case.split("::").next();
    let mut sorted: Vec<_> = mutants.iter().collect();
    sorted.sort_by_key(|mutant| {
        let mut killers = mutant.killers.iter();
        !killers.any(|killer| killer.case.split("::").next() == promise)
    });
    sorted
}
