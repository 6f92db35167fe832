use std::sync::Arc;

use distlock_core::backend::{Attempt, Blocked, Hold};
use distlock_core::{Error, ErrorKind, Mode, Moment};

use crate::flawed::Flaw;
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::flawed(
            15,
            "takes an error for a grant",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let as_of = Moment::now();
                        let ttl = claim.request.ttl.get();
                        let attempt = claim.inner.attempt(patience).await;
                        Ok(attempt.unwrap_or(Attempt::Held(Hold::new(1, ttl, as_of))))
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "exclusion::a_semaphore_on_a_lock_is_a_conflict",
            "it succeeded",
        ),
        Mutant::flawed(
            39,
            "takes its own hold for that of another when it tries again",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        if patience.has_ended() && claim.held.is_some() {
                            return Ok(Attempt::Blocked(Blocked::default()));
                        }
                        claim.inner.attempt(patience).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "unknown::tries_whose_answers_are_lost",
            "nobody but the try itself holds the lock",
        ),
        Mutant::flawed(
            81,
            "asks again under another id once it was granted",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        if claim.held.is_some() {
                            claim.request.id = claim.request.id.wrapping_add(1);
                            claim.inner = claim.backend.claim(claim.request.clone())?;
                        }
                        claim.inner.attempt(patience).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "unknown::attempts_whose_answers_are_lost",
            "the lock after some trouble",
        )
        .spoils(&["unknown::asking_again_finds_the_same_hold"]),
        Mutant::flawed(
            82,
            "takes another permit each time it asks",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let is_permit = matches!(claim.request.mode, Mode::Permit { .. });
                        if claim.held.is_some() && is_permit {
                            claim.request.id = claim.request.id.wrapping_add(1);
                            claim.inner = claim.backend.claim(claim.request.clone())?;
                        }
                        claim.inner.attempt(patience).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "unknown::shared_and_permit_answers_that_are_lost",
            "one holder, with token",
        ),
        Mutant::flawed(
            83,
            "needs a connection for each hold, of which it has a hundred",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        if claim.kept.is_none() {
                            let connections = Arc::clone(&claim.client.connections);
                            let connection = connections.try_acquire_owned();
                            let none =
                                |_| Error::new(ErrorKind::Unavailable, "no connection is left");
                            claim.kept = Some(Box::new(connection.map_err(none)?));
                        }
                        claim.inner.attempt(patience).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "many::a_thousand_names_held_at_once",
            "no connection is left",
        ),
        Mutant::flawed(
            84,
            "closes for all who share it when one has ended",
            Flaw {
                closes: true,
                ..Flaw::NONE
            },
        )
        .killed_by(
            "many::locks_that_share_a_backend_end_apart",
            "renewed, though the other has ended",
        ),
    ]
}
