//! Trying cases on mutants, many at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use distlock_conformance::{Verdict, check};

use crate::mutant::{Killer, Mutant};
use crate::store::{Base, Store};

/// Cases of all kinds that are done within moments. Of these, only its killers may fail on a
/// mutant: it is to be told by what it does wrong, and not because nothing works.
pub const CONTROLS: &[&str] = &[
    "exclusion::one_client_keeps_out_another",
    "exclusion::readers_hold_together",
    "exclusion::as_many_permits_as_the_limit_and_no_more",
    "fencing::tokens_grow_across_release",
    "waiting::everybody_in_the_line_is_served",
    "limits::a_try_after_a_drop_succeeds",
    "release::a_second_release_finds_nothing",
    "release::a_dropped_guard_releases",
    "unknown::asking_again_finds_the_same_hold",
    "names::one_name_is_one_lock_to_all",
    "input::a_claim_sends_nothing",
    "capabilities::they_are_the_ones_that_were_pinned",
];

/// Those of them in which a lock may be handed over, or may not, as it happens: they say nothing of
/// a store that does not hand over well.
pub(crate) const HAND_OVERS: &[&str] = &[
    "fencing::tokens_grow_across_release",
    "waiting::everybody_in_the_line_is_served",
    "release::a_dropped_guard_releases",
];

/// How many cases run at a time. Most sleep most of the time.
pub const AT_ONCE: usize = 48;

/// One case on one store.
#[derive(Debug)]
pub struct Trial<'a> {
    /// Whose store it is.
    pub mutant: &'a Mutant,
    /// What the store is made of.
    pub base: Base,
    /// `promise::case`.
    pub case: &'a str,
    /// What it is to come to.
    pub expected: Expected<'a>,
}

/// What the case is to say.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Expected<'a> {
    /// Nothing, if the store has nothing wrong about it.
    SoundPasses,
    /// Nothing, also of the mutant.
    Passes,
    /// That it has noticed.
    Fails(&'a Killer),
}

/// What came of a trial.
#[derive(Debug)]
pub struct Tried<'a> {
    /// The trial.
    pub trial: Trial<'a>,
    /// What the case says.
    pub verdict: Verdict,
}

/// What shows that the suite catches these mutants, each by the cases that are meant to.
pub fn proof(mutants: &[Mutant]) -> Vec<Trial<'_>> {
    let mut sound = HashSet::new();
    let mut trials = Vec::new();
    for mutant in mutants {
        for killer in &mutant.killers {
            let (case, expected) = (killer.case, Expected::Fails(killer));
            trials.push(Trial {
                mutant,
                base: mutant.base,
                case,
                expected,
            });
            if sound.insert((mutant.base, case)) {
                trials.push(Trial {
                    mutant,
                    base: mutant.base,
                    case,
                    expected: Expected::SoundPasses,
                });
            }
        }
    }
    for mutant in mutants {
        let may_fail = |case| {
            let mut killers = mutant.killers.iter();
            killers.any(|killer| killer.case == case) || mutant.spoilt.contains(&case)
        };
        for &case in CONTROLS.iter().filter(|case| !may_fail(case)) {
            trials.push(Trial {
                mutant,
                base: mutant.base,
                case,
                expected: Expected::Passes,
            });
        }
    }
    trials
}

/// What shows that the suite catches them over this store as well, where the flaw can be had over
/// any. A killer that does not suit the store says nothing; one of those that do is enough.
pub fn proof_over(mutants: &[Mutant], base: Base) -> Vec<Trial<'_>> {
    let over_any = mutants.iter().filter(|mutant| mutant.base == Base::Memory);
    over_any
        .flat_map(|mutant| mutant.killers.iter().map(move |killer| (mutant, killer)))
        .map(|(mutant, killer)| Trial {
            mutant,
            base,
            case: killer.case,
            expected: Expected::Fails(killer),
        })
        .collect()
}

/// Runs all of them.
pub fn run(trials: Vec<Trial<'_>>) -> Vec<Tried<'_>> {
    let all = Mutex::new(trials.into_iter());
    let tried = Mutex::new(Vec::new());
    let next = || all.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some(trial) = next() {
                    let done = trial.run();
                    tried
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(done);
                }
            });
        }
    });
    tried.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Trial<'a> {
    fn run(self) -> Tried<'a> {
        let verdict = check(Arc::new(self.store()), self.case);
        Tried {
            trial: self,
            verdict,
        }
    }

    fn store(&self) -> Store {
        match self.expected {
            Expected::SoundPasses => self.base.sound(),
            _ => self.mutant.store(self.base),
        }
    }
}

impl Tried<'_> {
    /// What is not as expected.
    pub fn complaint(&self) -> Option<String> {
        let Trial {
            mutant,
            case,
            expected,
            ..
        } = &self.trial;
        let Mutant { number, does, .. } = mutant;
        let complaint = match (expected, &self.verdict) {
            (Expected::Passes | Expected::SoundPasses, Verdict::Passed) => return None,
            (Expected::Fails(killer), Verdict::Failed(failure))
                if failure.contains(killer.says) =>
            {
                return None;
            }
            (Expected::Fails(_), Verdict::Passed) => "survived".to_owned(),
            (Expected::Fails(killer), Verdict::Failed(failure)) => {
                format!("for another reason than `{}`: {failure}", killer.says)
            }
            (Expected::SoundPasses, verdict) => {
                format!("with nothing wrong about the store: {verdict:?}")
            }
            (_, verdict) => format!("{verdict:?}"),
        };
        Some(format!("mutant {number} ({does}), {case}: {complaint}"))
    }
}
