use std::sync::Arc;
use std::time::Duration;

use super::super::caller::Kind;
use super::{WAIT, explore_engine, spawn};
use crate::error::ErrorKind;
use crate::sync::pause;

#[test]
fn what_a_caller_leaves_behind_is_settled() {
    explore_engine(|world| async move {
        let caller = spawn(world.ask(WAIT));
        pause().await;
        caller.abort();
        // Whatever it was given has gone with it.
        drop(caller.await);
        world.ends_well().await;
    });
}

#[test]
fn a_place_that_is_given_up_holds_up_nobody() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        let gives_up = spawn(world.ask(WAIT));
        let waits = spawn(world.ask(WAIT));
        let releases = spawn(async move { drop(guard) });
        gives_up.abort();
        drop(gives_up.await);
        drop(waits.await.unwrap().unwrap().unwrap());
        releases.await.unwrap();
        world.ends_well().await;
    });
}

#[test]
fn a_time_limit_is_told_or_beaten_by_the_grant() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        let limit = Duration::from_millis(10);
        let waits = spawn(world.ask(Kind::Wait(Some(limit))));
        let clock = world.clock;
        let time = spawn(async move {
            for _ in 0..3 {
                clock.advance(limit);
            }
        });
        drop(guard);
        match waits.await.unwrap() {
            Ok(granted) => drop(granted.unwrap()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
        world.ends_well().await;
        time.await.unwrap();
    });
}

#[test]
fn a_try_finds_free_what_was_dropped_before_it() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        let store = world.store.clone();
        let revoked = spawn(async move { store.revoke() });
        drop(guard);
        let again = world.ask(Kind::Try).await.unwrap();
        assert!(again.is_some());
        drop(again);
        revoked.await.unwrap();
        world.ends_well().await;
    });
}

#[test]
fn all_who_wait_are_granted_one_after_the_other() {
    explore_engine(|world| async move {
        let place = Arc::new(tokio::sync::Mutex::new(()));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (asking, place) = (world.ask(WAIT), Arc::clone(&place));
                spawn(async move {
                    let guard = asking.await.unwrap().unwrap();
                    let alone = place.try_lock().unwrap();
                    pause().await;
                    drop(alone);
                    guard.release().await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        world.ends_well().await;
    });
}
