//! For each rule of what may be held when, a history that breaks it, and one that just does not.

use std::time::{Duration, Instant};

use distlock_core::Mode::{Exclusive, Permit, Shared};

use super::super::super::event::{Effect, Event, What};
use super::super::super::{History, Terms};
use super::super::{Promise, Verdict, check};
use super::{
    broken, checked, fair, fault, granted, history, invoked, together, valid, whole, wrote,
};

#[test]
fn an_ordinary_history_breaks_nothing() {
    let events = together(&[
        &whole(1, 1, Exclusive, 10, 0, 500),
        &whole(2, 2, Exclusive, 20, 100, 900),
        &[(
            910,
            What::Left {
                name: "a".to_owned(),
                holders: 0,
                waiters: 0,
            },
        )],
        &[(5000, What::Done)],
    ]);
    // The second waits until the first has gone.
    let mut events = events;
    events[5].0 = 510;
    assert_eq!(checked(&events).violations, []);
    assert_eq!(checked(&events).figures.handovers, 1);
}

#[test]
fn who_has_released_late_held_until_then() {
    let first = |releasing| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 100)),
            (releasing, What::Releasing { op: 1 }),
            (releasing + 10, What::Released { op: 1 }),
        ]
    };
    let second = whole(2, 2, Exclusive, 20, 300, 500);
    let bad = together(&[&first(400), &second]);
    let found = checked(&bad).violations;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].promise, Promise::Exclusion);
    // The release that proves it, and the grant that should not have been.
    let events = history(&bad);
    let shown: Vec<_> = found[0]
        .events
        .iter()
        .map(|event| &events.events()[*event].what)
        .collect();
    assert_eq!(shown[0], &What::Releasing { op: 1 });
    assert_eq!(shown[2], &granted(2, 20, 1900));
    assert_eq!(broken(&together(&[&first(305), &second])), []);
}

/// It may have been asked for twice, and have found nothing the second time.
#[test]
fn a_release_to_a_store_that_has_forgotten_proves_nothing() {
    let first = [
        (0, invoked(1, 1, Exclusive)),
        (10, granted(1, 10, 100)),
        (400, What::Releasing { op: 1 }),
        (440, What::Released { op: 1 }),
    ];
    let second = whole(2, 2, Exclusive, 20, 300, 600);
    let broken_by = |effect| {
        let trouble = [(200, fault(effect)), (250, What::FaultEnded { fault: 1 })];
        let mut events = together(&[&first, &second, &trouble]);
        events.sort_by_key(|(at, _)| *at);
        broken(&events)
    };
    assert_eq!(broken_by(Effect::Disturbs), [Promise::Exclusion]);
    assert_eq!(broken_by(Effect::Forgets), []);
}

#[test]
fn who_holds_in_another_store_is_no_excuse_for_a_token() {
    let split = |effect| [(100, fault(effect)), (150, What::FaultEnded { fault: 1 })];
    // Renewed after the second had been granted the lock.
    let mut first = whole(1, 1, Exclusive, 10, 0, 700);
    first.insert(2, (650, valid(1, 1990)));
    let beside = |effect, token| {
        let second = whole(2, 2, Exclusive, token, 200, 600);
        checked(&together(&[&split(effect), &first, &second]))
    };
    let promises = |verdicts: &[Verdict]| {
        let promises = verdicts.iter().map(|verdict| verdict.promise);
        promises.collect::<Vec<_>>()
    };
    let found = beside(Effect::Splits, 20);
    assert_eq!(found.violations, []);
    assert_eq!(
        promises(&found.excused),
        [Promise::Validity, Promise::Exclusion]
    );
    // One that forgets does not remember later.
    let found = beside(Effect::Forgets, 20).violations;
    assert_eq!(promises(&found), [Promise::Exclusion]);
    let found = beside(Effect::Splits, 9).violations;
    assert_eq!(promises(&found), [Promise::Fencing]);
}

#[test]
fn a_renewal_shows_that_the_store_had_the_hold() {
    let first = |renewed| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 100)),
            // By the look of it, the store was heard a TTL earlier.
            (renewed, valid(1, 2000)),
            (
                renewed + 10,
                What::Lost {
                    op: 1,
                    revoked: true,
                },
            ),
        ]
    };
    let fault = [(0, fault(Effect::Disturbs))];
    let second = whole(2, 2, Exclusive, 20, 300, 500);
    let bad = together(&[&fault, &first(400), &second]);
    assert_eq!(broken(&bad), [Promise::Exclusion]);
    assert_eq!(broken(&together(&[&fault, &first(305), &second])), []);
}

#[test]
fn a_reader_beside_a_writer_and_a_writer_beside_a_reader() {
    for (mode, other) in [(Shared, Exclusive), (Exclusive, Shared)] {
        let first = whole(1, 1, mode, 10, 0, 500);
        let bad = together(&[&first, &whole(2, 2, other, 20, 200, 700)]);
        assert!(broken(&bad).contains(&Promise::Exclusion), "{mode} {other}");
        let good = together(&[&first, &whole(2, 2, other, 20, 490, 700)]);
        assert_eq!(broken(&good), [], "{mode} {other}");
    }
    let readers = [
        whole(1, 1, Shared, 10, 0, 500),
        whole(2, 2, Shared, 20, 200, 700),
    ];
    assert_eq!(broken(&readers.concat()), []);
}

#[test]
fn one_permit_more_than_there_are() {
    let mode = Permit { limit: 2 };
    let two = together(&[
        &whole(1, 1, mode, 10, 0, 500),
        &whole(2, 2, mode, 20, 50, 600),
    ]);
    let bad = together(&[&two, &whole(3, 3, mode, 30, 200, 400)]);
    assert!(broken(&bad).contains(&Promise::Exclusion));
    let good = together(&[&two, &whole(3, 3, mode, 30, 490, 700)]);
    assert_eq!(broken(&good), []);
}

#[test]
fn a_token_that_was_given_before() {
    let first = whole(1, 1, Exclusive, 10, 0, 100);
    let again = together(&[&first, &whole(2, 2, Exclusive, 10, 200, 300)]);
    assert_eq!(broken(&again), [Promise::Fencing]);
    let greater = together(&[&first, &whole(2, 2, Exclusive, 11, 200, 300)]);
    assert_eq!(broken(&greater), []);
}

#[test]
fn a_token_smaller_than_that_of_an_earlier_grant() {
    let first = whole(1, 1, Shared, 10, 0, 100);
    let bad = together(&[&first, &whole(2, 2, Shared, 9, 20, 300)]);
    assert_eq!(broken(&bad), [Promise::Fencing]);
    // Both were asked for at once: who was first is not known.
    let good = together(&[&first, &whole(2, 2, Shared, 9, 5, 300)]);
    assert_eq!(broken(&good), []);
}

#[test]
fn two_guards_valid_at_once() {
    let first = |valid| {
        [
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, valid)),
            (3000, What::Over { op: 1 }),
            (
                3001,
                What::Lost {
                    op: 1,
                    revoked: false,
                },
            ),
        ]
    };
    // It was paused, else it would have been renewed.
    let paused = [
        (20, What::Paused { client: 1 }),
        (2999, What::Resumed { client: 1 }),
    ];
    let second = whole(2, 2, Exclusive, 20, 2080, 2500);
    let bad = together(&[&paused, &first(2100), &second]);
    let found = checked(&bad).violations;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].promise, Promise::Validity);
    assert_eq!(broken(&together(&[&paused, &first(2000), &second])), []);
}

#[test]
fn of_several_guards_that_overlap_the_longest_is_told() {
    let reader = |op: u64, client, valid| {
        [
            (0, invoked(op, client, Shared)),
            (10, granted(op, op, valid)),
        ]
    };
    let writer = [(200, invoked(4, 4, Exclusive)), (300, granted(4, 40, 1900))];
    let readers = [reader(1, 1, 500), reader(2, 2, 1900), reader(3, 3, 700)];
    let found = checked(&together(&[&readers.concat(), &writer])).violations;
    assert_eq!(found[0].promise, Promise::Validity);
    assert!(found[0].what.contains("operations 2 and 4"), "{}", found[0]);
}

#[test]
fn two_guards_valid_at_once_after_the_store_was_made_to_forget() {
    let first = [
        (0, invoked(1, 1, Exclusive)),
        (10, granted(1, 10, 1900)),
        (
            700,
            What::Lost {
                op: 1,
                revoked: false,
            },
        ),
    ];
    let second = whole(2, 2, Exclusive, 20, 200, 900);
    let forgot = |effect| [(100, fault(effect)), (150, What::FaultEnded { fault: 1 })];
    let forgetting = together(&[&forgot(Effect::Forgets), &first, &second]);
    let findings = checked(&forgetting);
    assert_eq!(findings.violations, []);
    assert_eq!(findings.excused.len(), 1);
    assert_eq!(findings.excused[0].promise, Promise::Validity);
    // What was forgotten may show only later.
    let terms = Terms {
        settles: Duration::ZERO,
        ..fair()
    };
    let later = check(&history(&forgetting), &terms).expect("a history");
    assert_eq!(later.excused, findings.excused);
    // Being out of reach is no reason to forget, nor is it one to repeat a token.
    let disturbing = together(&[&forgot(Effect::Disturbs), &first, &second]);
    assert_eq!(broken(&disturbing), [Promise::Validity]);
    let mut repeated = forgetting;
    repeated[6].1 = granted(2, 10, 1900);
    assert!(broken(&repeated).contains(&Promise::Fencing));
}

#[test]
fn what_is_revoked_was_valid_until_nobody_knows_when() {
    let first = |revoked| {
        [
            (0, fault(Effect::Disturbs)),
            (0, invoked(1, 1, Exclusive)),
            (10, granted(1, 10, 1900)),
            (700, What::Lost { op: 1, revoked }),
        ]
    };
    let second = whole(2, 2, Exclusive, 20, 200, 900);
    assert_eq!(broken(&together(&[&first(true), &second])), []);
    assert_eq!(
        broken(&together(&[&first(false), &second])),
        [Promise::Validity]
    );
}

#[test]
fn a_resource_that_accepts_what_it_should_not() {
    let holds = together(&[
        &whole(1, 1, Exclusive, 10, 0, 100),
        &whole(2, 2, Exclusive, 20, 200, 300),
    ]);
    let writes = |accepted| [(250, wrote(2, 20, true)), (260, wrote(1, 10, accepted))];
    assert_eq!(
        broken(&together(&[&holds, &writes(true)])),
        [Promise::Resource]
    );
    assert_eq!(broken(&together(&[&holds, &writes(false)])), []);
    assert_eq!(
        checked(&together(&[&holds, &writes(false)])).figures.fenced,
        1
    );
    let foreign = [(250, wrote(2, 21, true))];
    assert_eq!(broken(&together(&[&holds, &foreign])), [Promise::Resource]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    for events in [
        vec![(0, granted(1, 10, 100))],
        vec![(0, invoked(1, 1, Exclusive)), (1, invoked(1, 1, Exclusive))],
        vec![(0, invoked(1, 1, Exclusive)), (1, valid(1, 100))],
        vec![
            (0, invoked(1, 1, Exclusive)),
            (1, What::Refused { op: 1 }),
            (2, granted(1, 10, 100)),
        ],
    ] {
        let last = events.len() - 1;
        let malformed = check(&history(&events), &Terms::default()).unwrap_err();
        assert_eq!(malformed.event, last, "{malformed}");
    }
}

#[test]
fn a_long_history_takes_little_time() {
    const GRANTS: u64 = 200_000;
    let mut events = Vec::new();
    for op in 0..GRANTS {
        let client = (op % 8) as u32;
        let mode = if op % 3 == 0 { Exclusive } else { Shared };
        events.append(&mut whole(
            op,
            client,
            mode,
            op + 1,
            100 * op,
            100 * op + 90,
        ));
        events.push((100 * op + 50, wrote(op, op + 1, true)));
    }
    // Faults and pauses as well.
    for fault in 0..1_000_u32 {
        let at = u64::from(fault) * 10_000;
        let (kind, target) = ("cut".to_owned(), "server".to_owned());
        let effect = Effect::Disturbs;
        let began = What::FaultBegan {
            fault,
            kind,
            target,
            effect,
        };
        events.push((at, began));
        events.push((at + 100, What::FaultEnded { fault }));
        events.push((at, What::Paused { client: fault % 8 }));
        events.push((at + 100, What::Resumed { client: fault % 8 }));
    }
    let at = |(millis, what)| Event {
        at: Duration::from_millis(millis),
        what,
    };
    let history = History::new(events.into_iter().map(at).collect());
    let began = Instant::now();
    let found: Vec<Verdict> = check(&history, &fair()).expect("a history").violations;
    let took = began.elapsed();
    assert_eq!(found, []);
    println!("{} events in {took:?}", history.events().len());
    // By orders of magnitude more than it takes, and less than if it took the square of that.
    assert!(took < Duration::from_secs(30), "{took:?}");
}
