//! Who is served, what is kept, told and left behind.

use super::*;

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
    assert_eq!(broken(waits(What::Leaving { claim: B })), []);
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
                    session: 0,
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
                    session: 0,
                },
                2,
            ),
        ),
        (
            53,
            gone(ClaimId {
                client: 1,
                number: 2,
                session: 0,
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
                session: 0,
            }),
        ),
        (
            8,
            granted(
                ClaimId {
                    client: 0,
                    number: 2,
                    session: 0,
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
    let refused_beside = |mode| {
        let conflict = What::Failed {
            op: 2,
            kind: ErrorKind::Conflict,
        };
        held(vec![(10, asked_so(2, 1, mode, Way::Wait)), (14, conflict)])
    };
    assert_eq!(broken(refused_beside(Mode::Permit { limit: 2 })), []);
    assert_eq!(broken(refused_beside(Mode::Shared)), [Promise::Limits]);
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
    let settled = |trouble, done: u64| {
        broken(held(vec![
            (50, given_up(1)),
            (50, trouble),
            (60, What::Settling { op: 2, client: 0 }),
            (done, What::Done { op: 2 }),
            (400, left(A, true)),
            (400, gone(A)),
        ]))
    };
    assert_eq!(settled(swallowed(0), 390), []);
    assert_eq!(settled(swallowed(0), 370), [Promise::Release]);
    let until = ms(60);
    let came_late = What::ClientPaused { client: 0, until };
    assert_eq!(settled(came_late, 370), []);
    assert_eq!(
        broken(vec![(0, What::Unsettled { client: 0 })]),
        [Promise::Release]
    );
}
