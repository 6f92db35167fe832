use std::time::Duration;

use distlock_core::backend::{Attempt, Hold};
use distlock_core::{Mode, Moment};

use crate::flawed::Flaw;
use crate::mutant::Mutant;
use crate::plain::{Rules, is_turn};
use crate::records::{Stored, Swaps};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::plain(
            28,
            "grants one permit more than the limit",
            Rules {
                is_turn: |line, at| match line[at].mode {
                    Mode::Permit { limit } => at <= limit as usize,
                    _ => is_turn(line, at),
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "exclusion::as_many_permits_as_the_limit_and_no_more",
            "more than 3 permits",
        ),
        Mutant::plain(
            30,
            "lets readers in beside a writer",
            Rules {
                is_turn: |line, at| line[at].mode == Mode::Shared || is_turn(line, at),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "exclusion::a_writer_keeps_out_readers_and_writers",
            "a reader beside a writer",
        ),
        Mutant::flawed(
            35,
            "lets a client in again that is in already",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let as_of = Moment::now();
                        let is_try = patience.has_ended() && claim.request.mode == Mode::Exclusive;
                        let (name, by) = (&claim.request.name, patience.deadline());
                        let state = claim.backend.inspect(name, by).await?;
                        let owner = Some(&*claim.request.owner);
                        let own = state
                            .holders
                            .iter()
                            .find(|holder| holder.owner.as_deref() == owner);
                        match own.and_then(|holder| holder.token) {
                            Some(token) if is_try => {
                                let ttl = claim.request.ttl.get();
                                Ok(Attempt::Held(Hold::new(token.number(), ttl, as_of)))
                            }
                            _ => claim.inner.attempt(patience).await,
                        }
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "exclusion::a_client_keeps_out_itself",
            "the same lock twice in one client",
        ),
        Mutant::records(
            37,
            "answers reads with what stood there a moment ago",
            Swaps {
                read: |stored| {
                    let settled =
                        |stored: &&Stored| stored.at.elapsed() > Duration::from_millis(60);
                    stored.iter().rfind(settled).cloned()
                },
                ..Swaps::SOUND
            },
        )
        .killed_by(
            "names::one_name_is_one_lock_to_all",
            "is free and cannot be had",
        )
        .spoils(&[
            "exclusion::as_many_permits_as_the_limit_and_no_more",
            "limits::a_try_after_a_drop_succeeds",
            "release::a_second_release_finds_nothing",
        ]),
        Mutant::records(
            40,
            "replaces a record whichever stands there",
            Swaps {
                replaces: |_, _| true,
                ..Swaps::SOUND
            },
        )
        .killed_by(
            "exclusion::no_update_is_lost_under_contention",
            "no overlap",
        )
        .spoils(&[
            "exclusion::as_many_permits_as_the_limit_and_no_more",
            "release::a_dropped_guard_releases",
            "waiting::everybody_in_the_line_is_served",
            "release::a_second_release_finds_nothing",
        ]),
        Mutant::plain(
            46,
            "lets a writer in when all readers but one have gone",
            Rules {
                is_turn: |line, at| match line[at].mode {
                    Mode::Exclusive => at == 0 || at == 1 && line[0].mode == Mode::Shared,
                    _ => is_turn(line, at),
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "exclusion::the_last_reader_lets_the_writer_in",
            "a writer beside a reader",
        ),
        Mutant::plain(
            47,
            "grants permits on a name that is in use as a lock",
            Rules {
                mixes: |_, _| true,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "exclusion::a_semaphore_on_a_lock_is_a_conflict",
            "expected an answer",
        )
        .killed_by(
            "exclusion::a_lock_on_a_semaphore_is_a_conflict",
            "expected an answer",
        ),
        Mutant::plain(
            48,
            "lets each client of a semaphore have a limit of its own",
            Rules {
                mixes: |one, other| {
                    matches!(one, Mode::Permit { .. }) == matches!(other, Mode::Permit { .. })
                },
                ..Rules::SOUND
            },
        )
        .killed_by("exclusion::two_limits_are_a_conflict", "of kind Conflict"),
        Mutant::plain(
            49,
            "lets readers in one at a time",
            Rules {
                is_turn: |line, at| match line[at].mode {
                    Mode::Shared => at == 0,
                    _ => is_turn(line, at),
                },
                ..Rules::SOUND
            },
        )
        .killed_by("exclusion::readers_hold_together", "another reader"),
    ]
}
