use std::time::Duration;

use distlock_core::backend::{Attempt, Blocked, Patience};
use tokio::time::sleep;

use crate::flawed::Flaw;
use crate::mutant::Mutant;
use crate::plain::Rules;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::flawed(
            75,
            "leaves a place in line behind a try",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let (unlimited, _end) =
                            Patience::unlimited(patience.deadline().remaining());
                        claim.inner.attempt(&unlimited).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "limits::a_try_on_a_held_lock_is_none_and_leaves_nothing",
            "after a hundred tries",
        )
        .spoils(&[
            "exclusion::one_client_keeps_out_another",
            "exclusion::as_many_permits_as_the_limit_and_no_more",
            "names::one_name_is_one_lock_to_all",
        ]),
        Mutant::flawed(
            76,
            "has two who try get into each other's way",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        if !patience.has_ended() {
                            return claim.inner.attempt(patience).await;
                        }
                        let by = patience.deadline();
                        let (unlimited, _end) = Patience::unlimited(by.remaining());
                        let attempt = claim.inner.attempt(&unlimited).await?;
                        sleep(Duration::from_millis(1)).await;
                        let state = claim.backend.inspect(&claim.request.name, by).await?;
                        if matches!(attempt, Attempt::Held(_)) && state.waiters.is_empty() {
                            return Ok(attempt);
                        }
                        sleep(Duration::from_millis(2)).await;
                        claim.inner.release(by).await?;
                        Ok(Attempt::Blocked(Blocked::default()))
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "limits::one_of_two_tries_on_a_free_lock_succeeds",
            "holders out of two tries on a free lock",
        ),
        Mutant::flawed(
            77,
            "waits in a try, for a while",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let attempt = claim.inner.attempt(patience).await?;
                        if patience.has_ended() && matches!(attempt, Attempt::Blocked(_)) {
                            sleep(Duration::from_millis(1700)).await;
                            return claim.inner.attempt(patience).await;
                        }
                        Ok(attempt)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "limits::a_try_on_a_held_lock_is_none_and_leaves_nothing",
            "an answer without waiting",
        ),
        Mutant::plain(
            78,
            "joins the line as soon as a claim is named",
            Rules {
                claims_join: true,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "input::a_claim_sends_nothing",
            "a claim that has asked for nothing is there",
        ),
    ]
}
