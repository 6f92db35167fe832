use std::fmt;

use distlock_core::{Capabilities, Mode};
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

const CONTENDERS: usize = 3;

/// Contenders for one name, and what they do, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) contenders: Vec<Contender>,
    pub(super) steps: Vec<Step>,
}

/// One who makes claims in one mode: another whenever it asks after a release.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    pub(super) mode: Mode,
    pub(super) lasting: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Asks and waits, or looks again.
    Attempt(usize),
    /// Asks without any will to wait.
    Try(usize),
    Renew(usize),
    Release(usize),
    /// All who hold renew and all who wait look again, as their engines would have them do.
    KeepUp,
    /// Leaves its claim to itself.
    Abandon(usize),
    /// So much time passes that a claim which does not last, and is not heard of, survives it once
    /// and not twice.
    Pass,
}

/// Whether time passes in a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    Stands,
    Passes,
}

/// All that a store of these capabilities can be asked.
pub(super) fn scripts(store: &Capabilities, time: Time) -> impl Strategy<Value = Script> + use<> {
    let (lasting, steps) = match time {
        Time::Stands => (Just(true).boxed(), vec(step(1), 1..24).boxed()),
        Time::Passes => {
            // Who stands from the beginning sees most of the time that passes.
            let first = vec((0..CONTENDERS).prop_map(Step::Attempt), 1..7);
            let steps = (first, vec(vec(step(6), 0..6), 2..5))
                .prop_map(|(first, then)| [vec![first], then].concat().join(&Step::Pass));
            (weighted(0.3).boxed(), steps.boxed())
        }
    };
    let contenders = (modes(store), vec(lasting, CONTENDERS)).prop_map(|(modes, lasting)| {
        let each = modes.into_iter().zip(lasting);
        each.map(|(mode, lasting)| Contender { mode, lasting })
            .collect()
    });
    (contenders, steps).prop_map(|(contenders, steps)| Script { contenders, steps })
}

fn step(keep_up: u32) -> impl Strategy<Value = Step> {
    let who = 0..CONTENDERS;
    prop_oneof![
        8 => who.clone().prop_map(Step::Attempt),
        3 => who.clone().prop_map(Step::Try),
        4 => who.clone().prop_map(Step::Renew),
        3 => who.clone().prop_map(Step::Release),
        keep_up => Just(Step::KeepUp),
        1 => who.prop_map(Step::Abandon),
    ]
}

/// The modes of the contenders: those of locks, or permits, or now and then what does not mix.
fn modes(store: &Capabilities) -> BoxedStrategy<Vec<Mode>> {
    let mut locks = vec![Just(Mode::Exclusive).boxed(); 2];
    if store.shared {
        locks.push(Just(Mode::Shared).boxed());
    }
    let mut lines = vec![(6, vec(Union::new(locks.clone()), CONTENDERS).boxed())];
    if store.permits {
        let permits = (1..CONTENDERS as u32).prop_map(|limit| Mode::Permit { limit });
        let alike = permits.clone().prop_map(|mode| vec![mode; CONTENDERS]);
        locks.push(permits.boxed());
        lines.push((3, alike.boxed()));
        lines.push((1, vec(Union::new(locks), CONTENDERS).boxed()));
    }
    Union::new_weighted(lines).boxed()
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ttl = if self.lasting { "long" } else { "short" };
        write!(f, "{}, {ttl} TTL", self.mode)
    }
}
