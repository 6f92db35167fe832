//! Histories made by hand: good ones, and for each rule one that breaks it.
//!
//! Two clients, TTL 1 s, by clocks that agree; times are milliseconds.

mod progress;
mod safety;

use distlock_core::{ErrorKind, Loss, Mode};

use super::*;
use crate::event::{ClaimId, What};
use crate::family::Family;
use crate::journey::Journey;
use crate::plan::step::Way;

const A: ClaimId = ClaimId {
    client: 0,
    number: 1,
    session: 0,
};
const B: ClaimId = ClaimId {
    client: 1,
    number: 1,
    session: 0,
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
        in_sessions: false,
        slack: Duration::ZERO,
        soon: Family::Queue.soon(ms(1000)),
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
    What::Left { claim, held }
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
