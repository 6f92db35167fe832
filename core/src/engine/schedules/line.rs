use std::sync::Arc;
use std::time::Duration;

use super::super::line::Lines;
use super::{name, spawn};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind};
use crate::sync::{explore, pause};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_turn_goes_to_one_at_a_time_and_past_those_who_give_up() {
    explore(|_| async move {
        let lines = Arc::new(Lines::default());
        let place = Arc::new(tokio::sync::Mutex::new(()));
        let mut tasks: Vec<_> = (0..4)
            .map(|_| {
                let (lines, place) = (Arc::clone(&lines), Arc::clone(&place));
                spawn(async move {
                    let _turn = lines.turn(&name(), PATIENCE).await.unwrap();
                    let _alone = place.try_lock().unwrap();
                    pause().await;
                })
            })
            .collect();
        let gives_up = tasks.swap_remove(1);
        gives_up.abort();
        drop(gives_up.await);
        for task in tasks {
            task.await.unwrap();
        }
        lines.turn(&name(), PATIENCE).await.unwrap();
    });
}

#[test]
fn all_in_line_learn_of_a_silent_store_or_get_the_turn() {
    explore(|_| async move {
        let lines = Arc::new(Lines::default());
        let mut first = lines.turn(&name(), PATIENCE).await.unwrap();
        let [impatient, patient] = [Duration::ZERO, PATIENCE].map(|patience| {
            let lines = Arc::clone(&lines);
            spawn(async move { lines.turn(&name(), patience).await.map(drop) })
        });
        let silent = Error::new(ErrorKind::Unavailable, "silent");
        first.store_is_silent(Moment::now(), &silent);
        drop(first);
        patient.await.unwrap().unwrap();
        // It may have come after the others had been told.
        let _ = impatient.await.unwrap();
        lines.turn(&name(), PATIENCE).await.unwrap();
    });
}
