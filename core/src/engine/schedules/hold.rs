use std::time::Duration;

use super::{TTL, WAIT, explore_engine, spawn};
use crate::error::ErrorKind;
use crate::guard::Loss;
use crate::sync::pause;

#[test]
fn a_hold_ends_once_and_for_one_reason() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        let first = spawn(guard.lost());
        let second = spawn(guard.lost());
        let (store, clock) = (world.store.clone(), world.clock);
        let revoked = spawn(async move { store.revoke() });
        let renewed = spawn(async move { clock.advance(TTL / 3) });
        let released = guard.release().await;

        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!(first, second);
        match released {
            Ok(()) => assert_eq!(first, Loss::Released),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Lost),
        }
        revoked.await.unwrap();
        renewed.await.unwrap();
        world.ends_well().await;
    });
}

#[test]
fn what_is_lost_is_never_held_again() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        let clock = world.clock;
        let time = spawn(async move {
            clock.advance(TTL / 3);
            clock.advance(TTL);
        });
        let mut lost = false;
        for _ in 0..4 {
            pause().await;
            let held = guard.is_held();
            assert!(!(lost && held), "held again");
            lost |= !held;
        }
        time.await.unwrap();
        assert_eq!(guard.valid_for() > Duration::ZERO, guard.is_held());
        drop(guard);
        world.ends_well().await;
    });
}

#[test]
fn who_is_told_of_a_renewal_sees_it() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        let granted = guard.valid_for();
        world.clock.advance(TTL / 10);
        let store = world.store.clone();
        let told = spawn(async move {
            store.has_done(|counts| counts.renewals == 1).await;
        });
        guard.ensure(granted).await.unwrap();
        assert_eq!(guard.valid_for(), granted);
        told.await.unwrap();
        drop(guard);
        // Who was told so may be ahead of the renewal, which still notes when the next is due.
        world.has_nothing_to_do().await;
        world.ends_well().await;
    });
}

#[test]
fn that_it_is_gone_is_told_however_early() {
    explore_engine(|world| async move {
        let store = world.store.clone();
        let revoked = spawn(async move {
            store.has_done(|counts| counts.grants == 1).await;
            store.revoke();
        });
        let guard = world.ask(WAIT).await.unwrap().unwrap();
        assert_eq!(guard.lost().await, Loss::Revoked);
        assert!(!guard.is_held());
        revoked.await.unwrap();
        drop(guard);
        world.ends_well().await;
    });
}
