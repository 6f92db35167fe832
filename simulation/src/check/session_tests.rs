//! Histories made by hand of a store whose claims stand under sessions: good ones, and for each
//! rule one that breaks it.
//!
//! One client with session 1, TTL 1 s and 100 ms of slack, by clocks that agree; times are
//! milliseconds.

use super::*;
use crate::event::{ClaimId, What};
use crate::family::Family;
use crate::journey::Journey;
use distlock_core::Mode;

const A: ClaimId = ClaimId {
    client: 0,
    number: 1,
    session: 1,
};

const KEPT_ALIVE: What = What::KeptAlive { session: 1 };
const BEAT: What = What::Beat { session: 1 };

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The promises that this history breaks, after the session was opened at 2 ms.
fn broken(then: Vec<(u64, What)>) -> Vec<Promise> {
    let terms = Terms {
        clients: vec![ClientTerms {
            own_ttl: ms(1000),
            store_ttl: ms(1100),
        }],
        calm_from: ms(50_000),
        longest_ttl: ms(1100),
        in_sessions: true,
        slack: ms(100),
        soon: Family::Sessions.soon(ms(1100)),
    };
    let opened = What::Opened {
        session: 1,
        client: 0,
    };
    let mut history = History::default();
    history.record(ms(2), opened);
    history.record(ms(4), confirmed(0));
    for (at, what) in then {
        history.record(ms(at), what);
    }
    let found = all(&history, &terms);
    found.iter().map(|violation| violation.promise).collect()
}

fn confirmed(as_of: u64) -> What {
    What::Confirmed {
        session: 1,
        as_of: ms(as_of),
    }
}

fn ended(asked: bool) -> What {
    What::Ended { session: 1, asked }
}

fn joined() -> What {
    What::Joined {
        claim: A,
        name: 0,
        mode: Mode::Exclusive,
    }
}

fn left() -> What {
    What::Left {
        claim: A,
        held: false,
    }
}

fn gone() -> What {
    What::Gone { claim: A, name: 0 }
}

fn doubled() -> What {
    What::Sent {
        client: 0,
        request: "a release".into(),
        journey: Journey::Arrives(vec![ms(1), ms(2)]),
    }
}

#[test]
fn p3_a_session_lives_for_its_ttl() {
    assert_eq!(broken(vec![(1102, ended(false))]), []);
    assert_eq!(broken(vec![(1000, ended(false))]), [Promise::Ttl]);
    assert_eq!(broken(vec![(1000, ended(true))]), []);
    assert_eq!(
        broken(vec![(900, KEPT_ALIVE), (1900, ended(false))]),
        [Promise::Ttl]
    );
    assert_eq!(broken(vec![(1200, KEPT_ALIVE)]), [Promise::Ttl]);
}

#[test]
fn p6_a_session_that_was_given_up_is_not_kept_alive() {
    assert_eq!(broken(vec![(999, BEAT)]), []);
    assert_eq!(broken(vec![(1000, BEAT)]), [Promise::Renewal]);
    let in_time = |answered| broken(vec![(800, BEAT), (answered, confirmed(800)), (1500, BEAT)]);
    assert_eq!(in_time(900), []);
    assert_eq!(in_time(1001), [Promise::Renewal]);
}

#[test]
fn p9_what_comes_after_its_release_goes_with_the_next_heartbeat() {
    let late = |trouble, beat, goes| {
        let mut events = vec![
            (10, left()),
            (20, joined()),
            (beat, KEPT_ALIVE),
            (goes, gone()),
        ];
        events.extend(trouble);
        events.sort_by_key(|(at, _)| *at);
        broken(events)
    };
    assert_eq!(late(None, 300, 310), []);
    assert_eq!(late(None, 300, 400), [Promise::NoResidue]);
    assert_eq!(late(Some((310, doubled())), 300, 400), []);
    assert_eq!(late(None, 15, 400), []);
}
