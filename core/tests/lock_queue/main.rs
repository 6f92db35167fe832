//! `LockQueue` against its rules and the promises, over random histories.

mod history;
mod world;

use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::{LockQueue, Place, StoreTime};
use distlock_core::{Capabilities, ErrorKind, FencingToken, Mode, Name, Ttl};
use proptest::collection::vec;
use proptest::prelude::*;

use history::{modes, step};
use world::World;

const SECOND: u64 = 1_000_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_promises(modes in modes(), steps in vec(step(), 1..60)) {
        let mut world = World::new(&modes);
        for step in &steps {
            world.run(step);
            world.compare();
        }
    }
}

fn claim(mode: Mode, seconds: u64) -> ClaimRequest {
    let any = Capabilities::new("test", Duration::ZERO..=Duration::MAX);
    let ttl = Ttl::new(Duration::from_secs(seconds), &any).unwrap();
    ClaimRequest::new(Name::new("x").unwrap(), mode, ttl)
}

#[test]
fn numbers_end_with_an_error_and_never_wrap() {
    let claim = claim(Mode::Exclusive, 10);
    let now = StoreTime::new("boot", 5);
    for floor in [FencingToken::MAX_NUMBER + 1, u64::MAX] {
        let mut queue = LockQueue::new(&now);
        let error = queue.enter(&claim, true, &now, floor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert_eq!(queue.last(), 0, "no such number was given");
    }
    let mut queue = LockQueue::new(&now);
    let number = FencingToken::MAX_NUMBER;
    let entered = queue.enter(&claim, true, &now, number).unwrap();
    assert_eq!(entered.answer, Place::Held { number });
    queue.leave(claim.id, &now, 0).unwrap();
    let error = queue.enter(&claim, true, &now, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert_eq!(queue.last(), number);
}

/// At the end of its range the clock stands, and nothing wraps to the beginning.
#[test]
fn times_end_without_wrapping() {
    let (holder, waiter) = (
        claim(Mode::Exclusive, u64::MAX),
        claim(Mode::Exclusive, u64::MAX),
    );
    let end = StoreTime::new("boot", u64::MAX);
    let mut queue = LockQueue::new(&end);
    queue.enter(&holder, true, &end, 1).unwrap();
    queue.enter(&waiter, true, &end, 1).unwrap();
    let renewed = queue.renew(holder.id, &end, 1).unwrap();
    assert_eq!(renewed.answer, Place::Held { number: 1 });
    assert!(!queue.has_expired(&end));
    assert!(!queue.is_forgettable(&end));
    assert!(!queue.is_idle_for(u64::MAX, &end));
    assert_eq!(queue.state(&end).waiters.len(), 1);
    assert_eq!(LockQueue::from_json(queue.to_json()).unwrap(), queue);
}

/// Refusing one whose mode does not fit, when a holder has just expired, leaves the queue as any
/// verb would: whose turn it is now holds.
#[test]
fn a_conflict_leaves_nobody_ungranted_whose_turn_it_is() {
    let (dead, next) = (claim(Mode::Exclusive, 1), claim(Mode::Exclusive, 9));
    let begin = StoreTime::new("boot", 0);
    let mut queue = LockQueue::new(&begin);
    queue.enter(&dead, true, &begin, 1).unwrap();
    queue.enter(&next, true, &begin, 1).unwrap();
    let later = StoreTime::new("boot", 2 * SECOND);
    let misfit = claim(Mode::Permit { limit: 2 }, 9);
    let error = queue.enter(&misfit, true, &later, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(matches!(queue.place(next.id, &later), Place::Held { .. }));
    assert_eq!(LockQueue::from_json(queue.to_json()).unwrap(), queue);
}
