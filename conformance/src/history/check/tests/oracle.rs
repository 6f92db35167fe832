//! The check of order beside a search of all orders.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};

use distlock_core::Mode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::super::event::What;
use super::super::facts::Facts;
use super::super::order;
use super::{Terms, granted, history, invoked};

/// An acquisition that was granted between these times, and was perhaps released between those.
#[derive(Clone, Debug)]
struct Hold {
    mode: Mode,
    token: u64,
    invoked: u64,
    answered: u64,
    release: Option<(u64, u64)>,
}

/// Something that the store did at one instant between two times.
#[derive(Clone, Copy, Debug)]
enum Done {
    Granted(usize),
    Released(usize),
}

/// Whether a store may have done all this, each at one instant: grants by growing tokens, a release
/// while the hold is there, and a hold may be gone at any moment.
fn is_possible(holds: &[Hold]) -> bool {
    let mut all = Vec::new();
    for (
        hold,
        Hold {
            invoked,
            answered,
            release,
            ..
        },
    ) in holds.iter().enumerate()
    {
        all.push((Done::Granted(hold), *invoked, *answered));
        all.extend(release.map(|(from, to)| (Done::Released(hold), from, to)));
    }
    search(holds, &all, &State::default(), &mut HashSet::new())
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    done: BTreeSet<usize>,
    holders: BTreeSet<usize>,
    last: u64,
}

fn search(
    holds: &[Hold],
    all: &[(Done, u64, u64)],
    state: &State,
    seen: &mut HashSet<State>,
) -> bool {
    if state.done.len() == all.len() {
        return true;
    }
    if !seen.insert(state.clone()) {
        return false;
    }
    let open = |number: &usize| !state.done.contains(number);
    // What was over before another began came before that.
    let due = (0..all.len())
        .filter(open)
        .map(|number| all[number].2)
        .min();
    let due = due.unwrap_or(u64::MAX);
    (0..all.len())
        .filter(open)
        .filter(|number| all[*number].1 <= due)
        .any(|number| {
            let mut next = state.clone();
            next.done.insert(number);
            match all[number].0 {
                Done::Released(hold) => {
                    next.holders.remove(&hold) && search(holds, all, &next, seen)
                }
                Done::Granted(hold) => {
                    if holds[hold].token <= state.last {
                        return false;
                    }
                    next.last = holds[hold].token;
                    // Any of the holders may have been lost by now.
                    subsets(&state.holders).into_iter().any(|holders| {
                        let mut next = next.clone();
                        next.holders = holders;
                        may_join(holds, hold, &next.holders) && {
                            next.holders.insert(hold);
                            search(holds, all, &next, seen)
                        }
                    })
                }
            }
        })
}

fn may_join(holds: &[Hold], hold: usize, holders: &BTreeSet<usize>) -> bool {
    match holds[hold].mode {
        Mode::Exclusive => holders.is_empty(),
        Mode::Permit { limit } => holders.len() < limit as usize,
        _ => holders
            .iter()
            .all(|other| holds[*other].mode == Mode::Shared),
    }
}

fn subsets(all: &BTreeSet<usize>) -> Vec<BTreeSet<usize>> {
    let all: Vec<_> = all.iter().copied().collect();
    let chosen = |bits: usize| (0..all.len()).filter(move |at| bits & (1 << at) != 0);
    (0..1 << all.len())
        .map(|bits| chosen(bits).map(|at| all[at]).collect())
        .collect()
}

fn is_accepted(holds: &[Hold]) -> bool {
    let mut events = Vec::new();
    for (op, hold) in holds.iter().enumerate() {
        let id = op as u64;
        events.push((hold.invoked, invoked(id, op as u32, hold.mode)));
        events.push((hold.answered, granted(id, hold.token, 0)));
        if let Some((from, to)) = hold.release {
            events.push((from, What::Releasing { op: id }));
            events.push((to, What::Released { op: id }));
        }
    }
    let (history, terms) = (history(&events), Terms::default());
    let facts = Facts::of(history.events(), &terms).expect("a history");
    order::check(&facts).0.is_empty()
}

/// Mode, when it was invoked and how long that took, by how much its token is out of order, whether
/// it was released, after how long, and how long that took.
type Drawn = (Mode, u64, u64, i64, bool, u64, u64);

/// A few holds close together, most with tokens that grow with time.
fn holds(modes: impl Strategy<Value = Mode> + Clone) -> impl Strategy<Value = Vec<Hold>> {
    let hold = (
        modes,
        0..12_u64,
        1..5_u64,
        -4..=4_i64,
        any::<bool>(),
        0..5_u64,
        0..3_u64,
    );
    prop::collection::vec(hold, 1..6).prop_map(|mut drawn| {
        drawn.sort_by_key(|hold| hold.1);
        let hold = |(place, drawn): (usize, Drawn)| {
            let (mode, invoked, takes, shift, is_released, held, leaves) = drawn;
            let answered = invoked + takes;
            // Mostly in order; some are exchanged, some are equal.
            let token = (10 + 2 * place as i64 + shift).cast_unsigned();
            let release = is_released.then_some((answered + held, answered + held + leaves));
            Hold {
                mode,
                token,
                invoked,
                answered,
                release,
            }
        };
        drawn.into_iter().enumerate().map(hold).collect()
    })
}

/// So many histories: fewer where time is dear.
fn cases() -> u32 {
    let given = std::env::var("DISTLOCK_ORACLE_CASES").ok();
    given.and_then(|cases| cases.parse().ok()).unwrap_or(34_000)
}

fn agree(modes: impl Strategy<Value = Mode> + Clone) {
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    };
    let possible = Cell::new(0_u32);
    let judged = TestRunner::new(config).run(&holds(modes), |holds| {
        let is_possible = is_possible(&holds);
        possible.set(possible.get() + u32::from(is_possible));
        prop_assert_eq!(is_accepted(&holds), is_possible);
        Ok(())
    });
    if let Err(disagreement) = judged {
        panic!("{disagreement}");
    }
    let possible = possible.get();
    println!("{possible} of {} were possible", cases());
    // Were nearly all of one kind, agreement would say little.
    assert!(
        possible > cases() / 10 && possible < cases() / 10 * 9,
        "{possible}"
    );
}

#[test]
fn mutexes() {
    agree(Just(Mode::Exclusive));
}

#[test]
fn readers_and_writers() {
    agree(prop_oneof![Just(Mode::Exclusive), Just(Mode::Shared)]);
}

#[test]
fn semaphores() {
    agree(Just(Mode::Permit { limit: 2 }));
}
