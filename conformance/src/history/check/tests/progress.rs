//! For each rule of what has to happen when, a history that breaks it, and one that just does not.

use std::time::Duration;

use distlock_core::Mode::{Exclusive, Permit, Shared};

use super::super::super::Terms;
use super::super::super::event::{Effect, What, Wish};
use super::super::{Promise, check};
use super::{asked, broken, checked, fault, granted, history, invoked, together, valid, whole};

#[test]
fn a_loss_that_is_told_late_or_never() {
    let until = |told: Option<u64>| {
        let mut events = vec![
            (0, fault(Effect::Disturbs)),
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (1910, What::Over { op: 1 }),
            (4000, What::Done),
        ];
        let lost = What::Lost {
            op: 1,
            revoked: false,
        };
        events.extend(told.map(|told| (told, lost)));
        events
    };
    assert_eq!(broken(&until(Some(2170))), [Promise::LossTold]);
    assert_eq!(broken(&until(None)), [Promise::LossTold]);
    assert_eq!(broken(&until(Some(2150))), []);
    assert_eq!(
        checked(&until(Some(2150))).figures.longest_notice,
        Duration::from_millis(240)
    );
    // Who is paused can be told nothing, and who is killed needs not be.
    let paused = [
        (1900, What::Paused { client: 1 }),
        (3000, What::Resumed { client: 1 }),
    ];
    assert_eq!(broken(&together(&[&paused, &until(Some(3200))])), []);
    assert_eq!(
        broken(&together(&[&paused, &until(Some(3300))])),
        [Promise::LossTold]
    );
    let killed = [(2000, What::Killed { client: 1 })];
    assert_eq!(broken(&together(&[&killed, &until(None)])), []);
}

#[test]
fn a_lock_that_is_lost_for_nothing() {
    let events = [
        (0, invoked(1, 1, Exclusive)),
        (10, granted(1, 10, 1900)),
        (
            1910,
            What::Lost {
                op: 1,
                revoked: false,
            },
        ),
    ];
    assert_eq!(broken(&events), [Promise::Renewal]);
    let trouble = [
        (500, fault(Effect::Disturbs)),
        (600, What::FaultEnded { fault: 1 }),
    ];
    assert_eq!(broken(&together(&[&trouble, &events])), []);
    let paused = [
        (500, What::Paused { client: 1 }),
        (600, What::Resumed { client: 1 }),
    ];
    assert_eq!(broken(&together(&[&paused, &events])), []);
    let mut meant = events;
    meant[2].1 = What::HeldLongEnough { op: 1 };
    assert_eq!(broken(&meant), []);
}

#[test]
fn a_release_that_finds_the_lock_lost_for_nothing() {
    let events = [
        (0, invoked(1, 1, Exclusive)),
        (10, granted(1, 10, 1900)),
        (500, What::Releasing { op: 1 }),
        (510, What::NotHeld { op: 1 }),
    ];
    assert_eq!(broken(&events), [Promise::Renewal]);
    let trouble = [(5, fault(Effect::Disturbs))];
    assert_eq!(broken(&together(&[&trouble, &events])), []);
}

#[test]
fn a_free_lock_that_is_refused() {
    let tries = |from| {
        [
            (from, asked(2, 2, Exclusive, Wish::Try)),
            (from, asked(3, 3, Exclusive, Wish::Try)),
            (from + 10, What::Refused { op: 2 }),
            (from + 10, What::Refused { op: 3 }),
        ]
    };
    let holder = whole(1, 1, Exclusive, 10, 0, 500);
    let refused = [Promise::Limits, Promise::Limits];
    assert_eq!(broken(&together(&[&holder, &tries(510)])), refused);
    assert_eq!(broken(&together(&[&holder, &tries(490)])), []);
    // Who waits is before who tries.
    let waits = [(400, invoked(4, 4, Exclusive))];
    assert_eq!(broken(&together(&[&holder, &tries(510), &waits])), []);
    let trouble = [
        (450, fault(Effect::Disturbs)),
        (460, What::FaultEnded { fault: 1 }),
    ];
    assert_eq!(broken(&together(&[&trouble, &holder, &tries(510)])), []);
}

#[test]
fn a_guard_that_is_valid_again() {
    let after = |millis| {
        [
            (0, fault(Effect::Disturbs)),
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (1910, What::Over { op: 1 }),
            (
                1911,
                What::Lost {
                    op: 1,
                    revoked: false,
                },
            ),
            (2000, valid(1, millis)),
        ]
    };
    assert_eq!(broken(&after(1900)), [Promise::Renewal]);
    assert_eq!(broken(&after(0)), []);
}

#[test]
fn nobody_takes_over_from_the_dead() {
    // With a TTL of 2 s, a third of which a lost wake-up may cost, and half a second to do it.
    let events = |taken| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (50, invoked(2, 2, Exclusive)),
            (100, What::Killed { client: 1 }),
            (taken, granted(2, 20, 1900)),
            (taken + 10, What::Dropped { op: 2 }),
        ]
    };
    assert_eq!(broken(&events(3300)), [Promise::Takeover]);
    assert_eq!(broken(&events(3200)), []);
    assert_eq!(
        checked(&events(3200)).figures.longest_takeover,
        Duration::from_millis(3100)
    );
}

#[test]
fn nobody_takes_over_from_one_that_is_paused() {
    let events = |taken| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (50, invoked(2, 2, Exclusive)),
            (100, What::Paused { client: 1 }),
            (taken, granted(2, 20, 1900)),
            (9000, What::Resumed { client: 1 }),
            (
                9001,
                What::Lost {
                    op: 1,
                    revoked: false,
                },
            ),
            (9002, What::Dropped { op: 2 }),
        ]
    };
    assert_eq!(broken(&events(3300)), [Promise::Takeover]);
    assert_eq!(broken(&events(3200)), []);
}

#[test]
fn a_place_of_the_dead_that_is_granted_blocks_for_no_longer_than_a_hold() {
    let events = |taken| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (20, invoked(2, 2, Exclusive)),
            (30, invoked(3, 3, Exclusive)),
            (100, What::Killed { client: 2 }),
            (200, What::Releasing { op: 1 }),
            (210, What::Released { op: 1 }),
            (taken, granted(3, 30, 1900)),
            (taken + 10, What::Dropped { op: 3 }),
        ]
    };
    assert_eq!(broken(&events(3300)), [Promise::Takeover]);
    assert_eq!(broken(&events(3200)), []);
}

#[test]
fn a_waiter_that_is_paused_may_be_granted_what_it_has_not_heard_of() {
    // It stops twice, for less than the TTL; the second time, its turn has come.
    let events = |paused| {
        together(&[
            &whole(1, 1, Exclusive, 10, 0, 2000),
            &[
                (20, invoked(2, 2, Exclusive)),
                (30, invoked(3, 3, Exclusive)),
                (100, What::Paused { client: 2 }),
                (1500, What::Resumed { client: 2 }),
                (3600, granted(3, 30, 1900)),
                (3610, What::Resumed { client: 2 }),
                (3620, What::Dropped { op: 3 }),
                (3630, granted(2, 40, 1900)),
                (3640, What::Dropped { op: 2 }),
            ],
            &[(paused, What::Paused { client: 2 })],
        ])
    };
    assert_eq!(broken(&events(1900)), []);
    assert_eq!(broken(&events(3400)), [Promise::Takeover]);
}

#[test]
fn who_was_paused_while_it_waited_holds_what_it_is_granted_then() {
    let events = |released| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (20, invoked(2, 2, Exclusive)),
            (30, What::Paused { client: 2 }),
            (3000, What::Resumed { client: 2 }),
            (3010, What::Dropped { op: 1 }),
            (3020, granted(2, 20, 1900)),
            (3100, invoked(3, 3, Exclusive)),
            (released, What::Dropped { op: 2 }),
            (9000, granted(3, 30, 1900)),
            (9010, What::Dropped { op: 3 }),
        ]
    };
    assert_eq!(broken(&events(8000)), []);
    assert_eq!(broken(&events(7000)), [Promise::Takeover]);
}

#[test]
fn a_free_lock_that_nobody_is_granted() {
    let mode = Permit { limit: 2 };
    let events = |taken| {
        together(&[
            &whole(1, 1, mode, 10, 0, 9000),
            &whole(2, 2, mode, 20, 100, 300),
            &[
                (200, invoked(3, 3, mode)),
                (taken, granted(3, 30, 1900)),
                (taken + 1, What::Dropped { op: 3 }),
            ],
        ])
    };
    assert_eq!(broken(&events(1500)), [Promise::Takeover]);
    assert_eq!(broken(&events(1400)), []);
    let fault = [
        (350, fault(Effect::Disturbs)),
        (360, What::FaultEnded { fault: 1 }),
    ];
    let calm = checked(&together(&[&fault, &events(6500)])).figures.calm;
    assert_eq!(calm, Duration::from_millis(350 + 9000 - 5360));
    assert_eq!(broken(&together(&[&fault, &events(6500)])), []);
    assert_eq!(
        broken(&together(&[&fault, &events(6600)])),
        [Promise::Takeover]
    );
}

#[test]
fn a_waiter_that_is_overtaken() {
    let holder = whole(1, 1, Exclusive, 10, 0, 2000);
    let waiter = |op: u64, client, asked, granted_at, token| {
        [
            (asked, invoked(op, client, Exclusive)),
            (granted_at, granted(op, token, 1900)),
            (granted_at + 10, What::Dropped { op }),
        ]
    };
    let first = waiter(2, 2, 100, 2100, 30);
    let bad = together(&[&holder, &first, &waiter(3, 3, 700, 2050, 20)]);
    assert_eq!(broken(&bad), [Promise::Order]);
    // Too close for anybody to know who was first.
    let close = together(&[&holder, &first, &waiter(3, 3, 550, 2050, 20)]);
    assert_eq!(broken(&close), []);
    // Behind a neighbour of its own client, it is in no line of the store.
    let neighbour = [
        (90, invoked(4, 2, Exclusive)),
        (600, What::Abandoned { op: 4 }),
    ];
    assert_eq!(broken(&together(&[&neighbour, &bad])), []);
    // A store that is not fair has promised nothing.
    let terms = Terms::default();
    let unfair = check(&history(&bad), &terms).expect("a history");
    assert_eq!(unfair.violations, []);
}

#[test]
fn readers_may_pass_readers_and_no_writers() {
    let holder = whole(1, 1, Exclusive, 10, 0, 2000);
    let later = |mode, other| {
        let events = [
            (100, invoked(2, 2, mode)),
            (700, invoked(3, 3, other)),
            (2050, granted(3, 20, 1900)),
            (2060, What::Dropped { op: 3 }),
            (2100, granted(2, 30, 1900)),
            (2110, What::Dropped { op: 2 }),
        ];
        broken(&together(&[&holder, &events]))
    };
    assert_eq!(later(Shared, Shared), []);
    assert_eq!(later(Exclusive, Shared), [Promise::Order]);
    assert_eq!(later(Shared, Exclusive), [Promise::Order]);
}

#[test]
fn a_holder_and_a_waiter_left_behind() {
    let left = |holders, waiters| {
        let name = "a".to_owned();
        broken(&[(
            0,
            What::Left {
                name,
                holders,
                waiters,
            },
        )])
    };
    assert_eq!(left(1, 0), [Promise::NothingLeft]);
    assert_eq!(left(0, 1), [Promise::NothingLeft]);
    assert_eq!(left(0, 0), []);
}

#[test]
fn an_operation_that_is_never_answered() {
    let hung = [
        (0, invoked(1, 1, Exclusive)),
        (10, What::Killed { client: 2 }),
    ];
    let done = [(500, What::Done)];
    assert_eq!(broken(&together(&[&hung, &done])), [Promise::Answers]);
    assert_eq!(broken(&hung), []);
    let killed = [(100, What::Killed { client: 1 })];
    assert_eq!(broken(&together(&[&hung, &killed, &done])), []);
}

#[test]
fn an_operation_that_fails_while_all_is_well() {
    let error = "store unavailable".to_owned();
    let failed = [
        (0, asked(1, 1, Exclusive, Wish::Try)),
        (100, What::Failed { op: 1, error }),
    ];
    assert_eq!(broken(&failed), [Promise::Answers]);
    assert_eq!(
        broken(&together(&[&[(50, fault(Effect::Disturbs))], &failed])),
        []
    );
}

#[test]
fn who_is_paused_twice_is_paused_until_both_are_over() {
    let told = |at| {
        let pauses = [
            (1900, What::Paused { client: 1 }),
            (1950, What::Paused { client: 1 }),
            (2000, What::Resumed { client: 1 }),
            (3000, What::Resumed { client: 1 }),
        ];
        let lost = [
            (0, fault(Effect::Disturbs)),
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (1910, What::Over { op: 1 }),
            (
                at,
                What::Lost {
                    op: 1,
                    revoked: false,
                },
            ),
        ];
        broken(&together(&[&pauses, &lost]))
    };
    assert_eq!(told(3260), [Promise::LossTold]);
    assert_eq!(told(3240), []);
}

#[test]
fn a_client_that_does_not_end() {
    let started = [(0, What::Started { client: 1 })];
    let done = [(500, What::Done)];
    assert_eq!(broken(&together(&[&started, &done])), [Promise::Answers]);
    for end in [What::Ended { client: 1 }, What::Killed { client: 1 }] {
        assert_eq!(broken(&together(&[&started, &[(400, end)], &done])), []);
    }
}
