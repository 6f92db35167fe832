//! Who holds, under which token, and for how long.

use super::*;

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
    let two_kinds_of_lock = held(vec![
        (10, joined_as(B, Mode::Permit { limit: 2 })),
        (11, left(B, false)),
        (11, gone(B)),
    ]);
    assert_eq!(broken(two_kinds_of_lock), [Promise::Exclusion]);
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
    let by_the_record = |made: u64| {
        let swapped = What::Swapped {
            name: 0,
            made: ms(made),
        };
        held(vec![
            (500, swallowed(0)),
            (1100, swapped),
            (1100, joined(B)),
            (1200, left(B, false)),
            (1200, gone(B)),
        ])
    };
    assert_eq!(broken(by_the_record(990)), []);
    assert_eq!(broken(by_the_record(1090)), [Promise::Ttl]);
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
