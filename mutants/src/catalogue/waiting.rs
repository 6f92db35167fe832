use std::time::Duration;

use distlock_core::Mode;
use distlock_core::backend::{Attempt, Blocked, ClaimRequest};
use tokio::time::sleep;

use crate::flawed::Flaw;
use crate::mutant::Mutant;
use crate::plain::{Rules, is_turn};
use crate::trial::HAND_OVERS;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::flawed(
            25,
            "wakes no waiter, and tells none when to look",
            Flaw {
                request: deafen,
                attempt: |claim, patience| {
                    Box::pin(async move {
                        Ok(match claim.inner.attempt(patience).await? {
                            Attempt::Blocked(_) => Attempt::Blocked(Blocked::default()),
                            held => held,
                        })
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "waiting::a_release_wakes_the_next_at_once",
            "the released lock",
        )
        .spoils(HAND_OVERS),
        Mutant::plain(
            27,
            "serves the last who came first",
            Rules {
                joins_at: |line| line.iter().filter(|entry| entry.number.is_some()).count(),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "waiting::clients_are_served_in_the_order_of_their_coming",
            "in the order of their coming",
        ),
        Mutant::plain(
            31,
            "lets readers pass a writer that waits",
            Rules {
                is_turn: |line, at| match line[at].mode {
                    Mode::Shared => {
                        let mut holders = line.iter().filter(|entry| entry.number.is_some());
                        holders.all(|holder| holder.mode == Mode::Shared)
                    }
                    Mode::Exclusive => {
                        is_turn(line, at) && line.iter().all(|entry| entry.number.is_none())
                    }
                    _ => is_turn(line, at),
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "waiting::a_reader_waits_behind_a_waiting_writer",
            "a reader before a writer that waits",
        ),
        Mutant::plain(
            72,
            "lets only the first of several waiting readers in",
            Rules {
                is_turn: |line, at| match line[at].mode {
                    Mode::Shared if line[at].waited => at == 0,
                    _ => is_turn(line, at),
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "waiting::readers_behind_a_writer_are_let_in_together",
            "the lock for a reader beside the others",
        ),
        Mutant::flawed(
            73,
            "looks first and listens then",
            Flaw {
                request: deafen,
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let attempt = claim.inner.attempt(patience).await?;
                        if claim.kept.is_none() && matches!(attempt, Attempt::Blocked(_)) {
                            sleep(Duration::from_millis(50)).await;
                            let (name, signals) = (&claim.request.name, claim.signals.clone());
                            let listening = claim.backend.subscribe(name, signals);
                            claim.kept = listening.map(|listening| Box::new(listening) as _);
                        }
                        Ok(attempt)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "waiting::a_release_wakes_the_next_at_once",
            "the released lock",
        )
        .spoils(HAND_OVERS),
        Mutant::flawed(
            74,
            "has waiters look again at once, all the time",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        Ok(match claim.inner.attempt(patience).await? {
                            Attempt::Blocked(_) => {
                                Attempt::Blocked(Blocked::recheck(Duration::ZERO))
                            }
                            held => held,
                        })
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by("waiting::a_waiter_does_not_ask_all_the_time", "attempts"),
        Mutant::flawed(
            99,
            "takes another place in line each time it asks",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        if claim.attempts > 1 && claim.held.is_none() {
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
            "unknown::asking_again_finds_the_same_hold",
            "places of one claim",
        )
        .spoils(HAND_OVERS),
    ]
}

/// Has the claim hear nothing of what the store tells.
fn deafen(request: &mut ClaimRequest) {
    let nobody = ClaimRequest::new(request.name.clone(), request.mode, request.ttl);
    request.signals = nobody.signals;
}
