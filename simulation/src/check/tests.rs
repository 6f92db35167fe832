//! Histories made by hand: good ones, and for each rule one that breaks it.
//!
//! Two clients, TTL 1 s, by clocks that agree; times are milliseconds.

use distlock_core::{ErrorKind, Loss, Mode};

use super::*;
use crate::event::{ClaimId, What};
use crate::journey::Journey;
use crate::plan::step::Way;

const A: ClaimId = ClaimId {
    client: 0,
    number: 1,
};
const B: ClaimId = ClaimId {
    client: 1,
    number: 1,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The promises that this history breaks.
fn broken(events: Vec<(u64, What)>) -> Vec<Promise> {
    let client = ClientTerms {
        own_ttl: ms(1000),
        store_ttl: ms(1000),
    };
    let terms = Terms {
        clients: vec![client; 2],
        calm_from: ms(50_000),
        longest_ttl: ms(1000),
    };
    let mut history = History::default();
    for (at, what) in events {
        history.record(ms(at), what);
    }
    let found = all(&history, &terms);
    found.iter().map(|violation| violation.promise).collect()
}

fn asked_so(op: usize, client: usize, mode: Mode, way: Way) -> What {
    What::Asked {
        op,
        client,
        name: 0,
        mode,
        way,
        max_hold: None,
    }
}

fn asked(op: usize, client: usize) -> What {
    asked_so(op, client, Mode::Exclusive, Way::Wait)
}

fn joined(claim: ClaimId) -> What {
    joined_as(claim, Mode::Exclusive)
}

fn joined_as(claim: ClaimId, mode: Mode) -> What {
    What::Joined {
        claim,
        name: 0,
        mode,
    }
}

fn refreshed(claim: ClaimId) -> What {
    What::Refreshed { claim, name: 0 }
}

fn granted(claim: ClaimId, number: u64) -> What {
    What::Granted {
        claim,
        name: 0,
        number,
    }
}

fn received(op: usize, number: u64) -> What {
    received_beside(op, number, &[])
}

fn received_beside(op: usize, number: u64, beside: &[usize]) -> What {
    What::Received {
        op,
        number,
        valid_for: Some(ms(900)),
        beside: beside.to_vec(),
    }
}

fn given_up(op: usize) -> What {
    What::GivenUp { op, valid: true }
}

fn left(claim: ClaimId, held: bool) -> What {
    What::Left {
        claim,
        name: 0,
        held,
    }
}

fn gone(claim: ClaimId) -> What {
    What::Gone { claim, name: 0 }
}

fn lost(op: usize, loss: Loss) -> What {
    What::LossTold { op, loss }
}

fn swallowed(client: usize) -> What {
    What::Sent {
        client,
        request: "a renewal".into(),
        journey: Journey::Lost,
    }
}

/// Operation 1 of client 0 holds under number 1, from 4 ms on.
fn held(then: Vec<(u64, What)>) -> Vec<(u64, What)> {
    let mut events = vec![
        (0, asked(1, 0)),
        (2, joined(A)),
        (2, granted(A, 1)),
        (4, received(1, 1)),
    ];
    events.extend(then);
    events
}

/// The same, and its release, which is said to have come to this.
fn released(held_there: bool, result: Result<(), ErrorKind>) -> Vec<(u64, What)> {
    held(vec![
        (50, given_up(1)),
        (52, left(A, held_there)),
        (52, gone(A)),
        (54, What::Released { op: 1, result }),
    ])
}

#[test]
fn good_histories_are_accepted() {
    let handed_over = held(vec![
        (10, asked(2, 1)),
        (12, joined(B)),
        (50, given_up(1)),
        (52, left(A, true)),
        (52, gone(A)),
        (52, granted(B, 2)),
        (60, received(2, 2)),
        (70, given_up(2)),
        (72, left(B, true)),
        (72, gone(B)),
    ]);
    let expired = held(vec![
        (300, swallowed(0)),
        (992, lost(1, Loss::Expired)),
        (992, given_up(1)),
        (1100, gone(A)),
    ]);
    let forgotten = held(vec![
        (100, What::ServerPaused { until: ms(102) }),
        (100, What::Forgot { name: 0 }),
        (100, gone(A)),
        (101, What::Unbacked { op: 1, by: ms(9) }),
        (110, asked(2, 1)),
        (112, joined(B)),
        (112, granted(B, 2)),
        (114, received_beside(2, 2, &[1])),
        (300, lost(1, Loss::Revoked)),
        (300, given_up(1)),
        (310, given_up(2)),
        (312, left(B, true)),
        (312, gone(B)),
        (2000, What::Healed),
    ]);
    let readers = vec![
        (0, asked_so(1, 0, Mode::Shared, Way::Wait)),
        (2, joined_as(A, Mode::Shared)),
        (2, granted(A, 1)),
        (4, received(1, 1)),
        (5, asked_so(2, 1, Mode::Shared, Way::Try)),
        (6, joined_as(B, Mode::Shared)),
        (6, granted(B, 2)),
        (8, received_beside(2, 2, &[1])),
    ];
    let refused = held(vec![
        (10, asked_so(2, 1, Mode::Exclusive, Way::Try)),
        (14, What::Busy { op: 2 }),
    ]);
    for good in [
        Vec::new(),
        handed_over,
        expired,
        forgotten,
        readers,
        refused,
        released(true, Ok(())),
        released(false, Err(ErrorKind::Lost)),
    ] {
        assert_eq!(broken(good.clone()), [], "{good:?}");
    }
}

#[test]
fn p1_exclusion() {
    let beside = held(vec![
        (10, joined_as(B, Mode::Shared)),
        (10, granted(B, 2)),
        (11, left(B, true)),
        (11, gone(B)),
    ]);
    assert!(broken(beside).contains(&Promise::Exclusion));
    let permit = Mode::Permit { limit: 1 };
    let one_too_many = vec![
        (0, joined_as(A, permit)),
        (0, granted(A, 1)),
        (1, joined_as(B, permit)),
        (1, granted(B, 2)),
        (2, gone(B)),
    ];
    assert!(broken(one_too_many).contains(&Promise::Exclusion));
    assert_eq!(
        broken(vec![(0, granted(A, 1)), (1, gone(A))]),
        [Promise::Exclusion]
    );
}

#[test]
fn p2_fencing() {
    let freed = |then: Vec<(u64, What)>| {
        let mut events = held(vec![(50, given_up(1)), (52, left(A, true)), (52, gone(A))]);
        events.extend(then);
        events.extend([(75, left(B, true)), (75, gone(B))]);
        events
    };
    let repeated = freed(vec![(60, joined(B)), (60, granted(B, 1))]);
    assert_eq!(broken(repeated), [Promise::Fencing]);
    let of_another = freed(vec![(60, asked(2, 0)), (64, received(2, 1))]);
    assert_eq!(broken(of_another), [Promise::Fencing]);
    let older = vec![
        (0, joined_as(A, Mode::Shared)),
        (0, granted(A, 1)),
        (0, joined_as(B, Mode::Shared)),
        (0, granted(B, 2)),
        (1, asked_so(2, 1, Mode::Shared, Way::Wait)),
        (2, received(2, 2)),
        (3, asked_so(1, 0, Mode::Shared, Way::Wait)),
        (4, received_beside(1, 1, &[2])),
    ];
    assert_eq!(broken(older), [Promise::Fencing]);
}

#[test]
fn p3_ttl() {
    let early = held(vec![(900, gone(A))]);
    assert_eq!(broken(early), [Promise::Ttl]);
    let refreshed_and_early = held(vec![(500, refreshed(A)), (1400, gone(A))]);
    assert_eq!(broken(refreshed_and_early), [Promise::Ttl]);
    let late = held(vec![
        (500, swallowed(0)),
        (1100, joined(B)),
        (1101, gone(A)),
    ]);
    assert_eq!(broken(late), [Promise::Ttl]);
}

#[test]
fn p4_validity() {
    let outlives = held(vec![(500, What::Unbacked { op: 1, by: ms(1) })]);
    assert_eq!(broken(outlives), [Promise::Validity]);
    let not_ensured = held(vec![(
        500,
        What::Ensured {
            op: 1,
            at_least: ms(600),
            valid_for: ms(599),
        },
    )]);
    assert_eq!(broken(not_ensured), [Promise::Validity]);
    for (valid_for, max_hold) in [(0, None), (900, Some(ms(800)))] {
        let mut handed_out = held(Vec::new());
        handed_out[0].1 = What::Asked {
            op: 1,
            client: 0,
            name: 0,
            mode: Mode::Exclusive,
            way: Way::Wait,
            max_hold,
        };
        handed_out[3].1 = What::Received {
            op: 1,
            number: 1,
            valid_for: Some(ms(valid_for)),
            beside: Vec::new(),
        };
        assert_eq!(broken(handed_out), [Promise::Validity]);
    }
    let overlap = held(vec![
        (10, asked(2, 1)),
        (800, refreshed(A)),
        (900, swallowed(0)),
        (1900, gone(A)),
        (1900, joined(B)),
        (1900, granted(B, 2)),
        (1904, received_beside(2, 2, &[1])),
    ]);
    assert_eq!(broken(overlap), [Promise::Overlap]);
}

#[test]
fn p5_loss_told() {
    let untold = held(vec![(1000, What::LossUntold { op: 1 })]);
    assert_eq!(broken(untold), [Promise::LossTold]);
    let forgotten = |told: u64| {
        held(vec![
            (100, What::ServerPaused { until: ms(102) }),
            (100, What::Forgot { name: 0 }),
            (100, gone(A)),
            (told, given_up(1)),
            (2000, What::Healed),
        ])
    };
    let hinted = |told: u64| {
        held(vec![
            (100, What::ServerPaused { until: ms(200) }),
            (100, What::Forgot { name: 0 }),
            (100, gone(A)),
            (
                100,
                What::Hinted {
                    client: 0,
                    hint: "gone".to_owned(),
                    gone: Some((A, 1)),
                    journey: Journey::Arrives(vec![ms(4)]),
                },
            ),
            (told, given_up(1)),
            (1000, What::Healed),
        ])
    };
    assert_eq!(broken(hinted(105)), []);
    assert_eq!(broken(hinted(300)), [Promise::LossTold]);
    assert_eq!(broken(forgotten(600)), []);
    assert_eq!(broken(forgotten(700)), [Promise::LossTold]);
}

#[test]
fn p6_renewal() {
    let needless = held(vec![(992, lost(1, Loss::Expired)), (992, given_up(1))]);
    assert_eq!(broken(needless), [Promise::Renewal]);
    let falsely_revoked = held(vec![
        (300, swallowed(0)),
        (500, lost(1, Loss::Revoked)),
        (500, given_up(1)),
    ]);
    assert_eq!(broken(falsely_revoked), [Promise::Renewal]);
    let revived = held(vec![
        (300, swallowed(0)),
        (1100, gone(A)),
        (1101, joined(A)),
    ]);
    assert_eq!(broken(revived), [Promise::Renewal]);
    let waits = |trouble| {
        held(vec![
            (10, joined(B)),
            (300, trouble),
            (500, refreshed(A)),
            (1010, gone(B)),
            (1011, given_up(1)),
        ])
    };
    assert_eq!(broken(waits(swallowed(0))), [Promise::Renewal]);
    assert_eq!(broken(waits(swallowed(1))), []);
}

#[test]
fn p7_waiting() {
    let overtaken = held(vec![
        (10, joined_as(B, Mode::Shared)),
        (
            20,
            joined_as(
                ClaimId {
                    client: 1,
                    number: 2,
                },
                Mode::Shared,
            ),
        ),
        (50, given_up(1)),
        (52, left(A, true)),
        (52, gone(A)),
        (
            52,
            granted(
                ClaimId {
                    client: 1,
                    number: 2,
                },
                2,
            ),
        ),
        (
            53,
            gone(ClaimId {
                client: 1,
                number: 2,
            }),
        ),
    ]);
    assert!(broken(overtaken).contains(&Promise::Waiting));
    let in_one_client = vec![
        (0, asked(1, 0)),
        (1, asked(2, 0)),
        (2, joined(A)),
        (2, granted(A, 1)),
        (4, received(2, 1)),
        (5, given_up(2)),
        (7, left(A, true)),
        (7, gone(A)),
        (
            8,
            joined(ClaimId {
                client: 0,
                number: 2,
            }),
        ),
        (
            8,
            granted(
                ClaimId {
                    client: 0,
                    number: 2,
                },
                2,
            ),
        ),
        (9, received(1, 2)),
    ];
    assert_eq!(broken(in_one_client), [Promise::Waiting]);
    let not_woken = |trouble: Option<What>| {
        let mut events = vec![(0, asked(1, 0)), (2, joined(A)), (2, granted(A, 1))];
        events.extend(trouble.map(|what| (3, what)));
        events.push((100, received(1, 1)));
        broken(events)
    };
    assert_eq!(not_woken(None), [Promise::Waiting]);
    assert_eq!(not_woken(Some(swallowed(0))), []);
    assert_eq!(not_woken(Some(swallowed(1))), [Promise::Waiting]);
    let starved = vec![(0, asked(1, 0)), (60_000, What::Starved { op: 1 })];
    assert_eq!(broken(starved), [Promise::Waiting]);
}

#[test]
fn p8_limits() {
    let refused = vec![
        (0, asked_so(1, 0, Mode::Exclusive, Way::Try)),
        (4, What::Busy { op: 1 }),
    ];
    assert_eq!(broken(refused), [Promise::Limits]);
    let reader_refused = vec![
        (0, joined_as(A, Mode::Shared)),
        (0, granted(A, 1)),
        (1, asked_so(2, 1, Mode::Shared, Way::Try)),
        (4, What::Busy { op: 2 }),
        (5, left(A, true)),
        (5, gone(A)),
    ];
    assert_eq!(broken(reader_refused), [Promise::Limits]);
    let timed_out = |way, at| {
        let kind = ErrorKind::TimedOut;
        broken(vec![
            (0, asked_so(1, 0, Mode::Exclusive, way)),
            (at, What::Failed { op: 1, kind }),
        ])
    };
    assert_eq!(timed_out(Way::Within(ms(50)), 51), []);
    assert_eq!(timed_out(Way::Within(ms(50)), 49), [Promise::Limits]);
    assert_eq!(timed_out(Way::Within(ms(50)), 53), [Promise::Limits]);
    assert_eq!(timed_out(Way::Wait, 50), [Promise::Limits]);
    assert_eq!(broken(vec![(0, What::Hung { op: 1 })]), [Promise::Limits]);
}

#[test]
fn p9_residue() {
    let residue = What::Residue {
        name: 0,
        entries: 1,
    };
    assert_eq!(broken(vec![(0, residue)]), [Promise::NoResidue]);
}

#[test]
fn p10_release() {
    let back = held(vec![
        (50, given_up(1)),
        (52, left(A, true)),
        (52, gone(A)),
        (60, joined(A)),
    ]);
    assert_eq!(broken(back), [Promise::Release]);
    assert_eq!(broken(released(false, Ok(()))), [Promise::Release]);
    assert_eq!(
        broken(released(true, Err(ErrorKind::Lost))),
        [Promise::Release]
    );
    let never_done = held(vec![
        (50, given_up(1)),
        (
            54,
            What::Released {
                op: 1,
                result: Ok(()),
            },
        ),
    ]);
    assert_eq!(broken(never_done), [Promise::Release]);
    let given_up_at_50 = |freed| {
        broken(held(vec![
            (50, given_up(1)),
            (50, swallowed(0)),
            (freed, left(A, true)),
            (freed, gone(A)),
            (1000, What::Healed),
        ]))
    };
    assert_eq!(given_up_at_50(400), []);
    assert_eq!(given_up_at_50(600), [Promise::Release]);
    assert_eq!(
        broken(vec![(0, What::Unsettled { client: 0 })]),
        [Promise::Release]
    );
}

#[test]
fn p15_fail_closed() {
    let without_grant = vec![(0, asked(1, 0)), (4, received(1, 1))];
    assert_eq!(broken(without_grant), [Promise::FailClosed]);
    let of_another_client = vec![
        (0, asked(1, 1)),
        (2, joined(A)),
        (2, granted(A, 1)),
        (4, received(1, 1)),
    ];
    assert_eq!(broken(of_another_client), [Promise::FailClosed]);
    let seen = held(vec![
        (
            10,
            What::Looked {
                op: 2,
                client: 1,
                name: 0,
            },
        ),
        (
            14,
            What::Seen {
                op: 2,
                holders: vec![2],
            },
        ),
    ]);
    assert_eq!(broken(seen), [Promise::FailClosed]);
}
