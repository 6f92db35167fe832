use std::time::Duration;

use distlock_core::backend::Released;
use distlock_core::{Deadline, Error, ErrorKind, Mode};
use tokio::time::sleep;

use crate::flawed::{Flaw, FlawedClaim};
use crate::mutant::Mutant;
use crate::plain::{Rules, leave};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::plain(
            1,
            "frees whoever holds the name",
            Rules {
                leave: |line, request| match leave(line, request) {
                    Released::NotHeld if !line.entries.is_empty() => {
                        line.entries.remove(0);
                        Released::NotHeld
                    }
                    released => released,
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "release::a_late_release_leaves_the_successor_alone",
            "a late release freed its successor",
        )
        .killed_by(
            "release::a_second_release_finds_nothing",
            "one holder, with token",
        ),
        Mutant::plain(
            17,
            "takes only holders out of the line",
            Rules {
                leave: |line, request| match line.own(request) {
                    Some(at) if line.entries[at].number.is_some() => leave(line, request),
                    _ => Released::NotHeld,
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "release::a_waiter_s_release_gives_up_its_place",
            "one holder, with token",
        ),
        Mutant::flawed(
            18,
            "keeps a lock that was granted to one who had not heard of it",
            Flaw {
                release: |claim, by| {
                    Box::pin(async move {
                        if was_granted_unheard(claim, by, |_| true).await? {
                            return Ok(Released::NotHeld);
                        }
                        claim.inner.release(by).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "release::a_waiter_s_release_gives_up_what_it_was_granted",
            "something is left of a waiter, Exclusive",
        ),
        Mutant::flawed(
            22,
            "says that it was held, whether it was or not",
            Flaw {
                release: |claim, by| {
                    Box::pin(async move {
                        claim.inner.release(by).await?;
                        Ok(Released::Held)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by("release::a_second_release_finds_nothing", "left: Held"),
        Mutant::plain(
            23,
            "frees the next holder when it is asked twice",
            Rules {
                leave: |line, request| match leave(line, request) {
                    Released::NotHeld if line.entries.len() == 1 => {
                        line.entries.clear();
                        Released::NotHeld
                    }
                    released => released,
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "release::a_second_release_finds_nothing",
            "one holder, with token",
        ),
        Mutant::flawed(
            24,
            "refuses a release that it has done already",
            Flaw {
                release: |claim, by| {
                    Box::pin(async move {
                        match claim.inner.release(by).await? {
                            Released::NotHeld if claim.releases > 1 => {
                                Err(Error::new(ErrorKind::Unavailable, "no such lock"))
                            }
                            released => Ok(released),
                        }
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by("unknown::releases_whose_answers_are_lost", "the release")
        .killed_by("release::a_second_release_finds_nothing", "no such lock"),
        Mutant::flawed(
            29,
            "keeps a permit that was granted to one who had not heard of it",
            Flaw {
                release: |claim, by| {
                    Box::pin(async move {
                        let is_permit = |mode| matches!(mode, Mode::Permit { .. });
                        if was_granted_unheard(claim, by, is_permit).await? {
                            return Ok(Released::NotHeld);
                        }
                        claim.inner.release(by).await
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "release::a_waiter_s_release_gives_up_what_it_was_granted",
            "something is left of a waiter, Permit",
        ),
        Mutant::plain(
            79,
            "frees all readers with the first",
            Rules {
                leave: |line, request| {
                    let released = leave(line, request);
                    if request.mode == Mode::Shared {
                        line.entries.retain(|entry| entry.mode != Mode::Shared);
                    }
                    released
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "release::a_reader_s_release_leaves_the_others",
            "a writer, with",
        ),
        Mutant::flawed(
            80,
            "confirms a release before it is done",
            Flaw {
                release: |claim, by| {
                    Box::pin(async move {
                        let nobody = claim.backend.claim(claim.request.clone())?;
                        let mut releasing = std::mem::replace(&mut claim.inner, nobody);
                        tokio::spawn(async move {
                            sleep(Duration::from_millis(50)).await;
                            releasing.release(by).await
                        });
                        Ok(Released::Held)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "release::settle_waits_for_what_was_dropped",
            "something is left after `settle`",
        )
        .spoils(&[
            "exclusion::as_many_permits_as_the_limit_and_no_more",
            "limits::a_try_after_a_drop_succeeds",
            "release::a_second_release_finds_nothing",
            "names::one_name_is_one_lock_to_all",
        ]),
    ]
}

/// Whether the claim holds the name, in such a mode, and was never told so.
async fn was_granted_unheard(
    claim: &mut FlawedClaim,
    by: Deadline,
    of_mode: fn(Mode) -> bool,
) -> distlock_core::Result<bool> {
    if claim.held.is_some() || !of_mode(claim.request.mode) {
        return Ok(false);
    }
    let state = claim.backend.inspect(&claim.request.name, by).await?;
    let owner = Some(&*claim.request.owner);
    Ok(state
        .holders
        .iter()
        .any(|holder| holder.owner.as_deref() == owner))
}
