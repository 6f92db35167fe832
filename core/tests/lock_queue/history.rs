use distlock_core::Mode;
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) const CONTENDERS: usize = 6;
/// Far below any wall clock, so that a floor that leaked into expiry, or expiry into numbers, would
/// show.
pub(crate) const FIRST_FLOOR: u64 = 1 << 40;
const SECOND: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Enter {
        who: usize,
        wait: bool,
    },
    Renew {
        who: usize,
    },
    Leave {
        who: usize,
    },
    Expire,
    Pass {
        micros: u64,
    },
    /// To the first expiry that there is, or a microsecond short of it.
    PassToExpiry {
        but: u64,
    },
    /// The wall clock is stepped, and so the floor of numbers; expiry must not notice.
    SetFloor {
        floor: u64,
    },
    Reboot,
    LoseRecord,
    WriteAndRead,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let who = 0..CONTENDERS;
    prop_oneof![
        8 => (who.clone(), any::<bool>()).prop_map(|(who, wait)| Step::Enter { who, wait }),
        4 => who.clone().prop_map(|who| Step::Renew { who }),
        4 => who.prop_map(|who| Step::Leave { who }),
        1 => Just(Step::Expire),
        5 => (0..4 * SECOND).prop_map(|micros| Step::Pass { micros }),
        1 => (0..50_000 * SECOND).prop_map(|micros| Step::Pass { micros }),
        2 => (0..2_u64).prop_map(|but| Step::PassToExpiry { but }),
        1 => (FIRST_FLOOR..2 * FIRST_FLOOR).prop_map(|floor| Step::SetFloor { floor }),
        1 => Just(Step::Reboot),
        1 => Just(Step::LoseRecord),
        1 => Just(Step::WriteAndRead),
    ]
}

/// What contenders ask for. Drawn once a history: a claim never changes its mind.
pub(crate) fn modes() -> impl Strategy<Value = Vec<Mode>> {
    let locks = prop_oneof![Just(Mode::Exclusive), Just(Mode::Shared)];
    let mixed = prop_oneof![
        Just(Mode::Exclusive),
        Just(Mode::Permit { limit: 2 }),
        Just(Mode::Permit { limit: 3 })
    ];
    prop_oneof![
        4 => vec(locks, CONTENDERS),
        2 => (1..4_u32).prop_map(|limit| vec![Mode::Permit { limit }; CONTENDERS]),
        1 => vec(mixed, CONTENDERS),
    ]
}
