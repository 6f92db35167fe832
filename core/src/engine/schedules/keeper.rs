use std::sync::Arc;

use super::super::keep::{self, Keeper};
use super::{TTL, WAIT, World, explore_engine, spawn};
use crate::clock::Moment;
use crate::error::ErrorKind;
use crate::guard::Loss;
use crate::sync::explore;

#[test]
fn a_hold_that_comes_while_the_keeper_falls_asleep_is_renewed_in_time() {
    explore_engine(|world| async move {
        let guard = world.acquire().await;
        world.clock.run(TTL / 60);
        world.store.has_done(|counts| counts.renewals == 2).await;
        assert!(guard.is_held());
        drop(guard);
        world.ends_well().await;
    });
}

#[test]
fn a_renewal_asked_for_while_the_keeper_falls_asleep_is_made_at_once() {
    explore_engine(|world| async move {
        let guard = Arc::new(world.acquire().await);
        let granted = guard.valid_for();
        world.clock.advance(TTL / 10);
        let tasks = [(); 2].map(|()| {
            let guard = Arc::clone(&guard);
            spawn(async move { guard.ensure(granted).await.unwrap() })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(guard.valid_for(), granted);
        drop(guard);
        world.ends_well().await;
    });
}

#[test]
fn a_loss_by_the_clock_is_told_when_it_happens() {
    explore_engine(|world| async move {
        let (limit, step) = (TTL / 4, TTL / 60);
        let mut spec = world.spec();
        spec.max_hold = Some(limit);
        let began = Moment::now();
        let guard = world.ask_for(spec, WAIT).await.unwrap().unwrap();
        world.clock.run(step);
        assert_eq!(guard.lost().await, Loss::MaxHold);
        let took = began.elapsed();
        assert!(limit <= took && took <= limit + 2 * step, "{took:?}");
        assert!(guard.release().await.is_err());
        world.ends_well().await;
    });
}

#[test]
fn a_keeper_that_is_stopped_ends_even_as_it_falls_asleep() {
    explore(|_| async move {
        let keeper = Arc::new(Keeper::default());
        let run = spawn(keep::run(Arc::clone(&keeper), Arc::default()));
        keeper.stop();
        run.await.unwrap();
    });
}

#[test]
fn a_hold_that_nobody_keeps_any_more_is_lost() {
    explore(|clock| async move {
        let (world, keeper) = World::with_keeper(clock);
        let asking = spawn(world.ask(WAIT));
        keeper.abort();
        let guard = match asking.await.unwrap() {
            Ok(guard) => guard.unwrap(),
            // It ended with the keeper, which leaves what is in the store to the TTL.
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Unavailable),
        };
        assert_eq!(guard.lost().await, Loss::Expired);
        drop(guard);
        world.engine.pending.settled().await;
        world.store.is_at_rest();
    });
}
