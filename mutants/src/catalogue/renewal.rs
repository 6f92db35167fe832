use distlock_core::backend::{ClaimRequest, Renewal};
use distlock_core::{Error, ErrorKind, Mode, Moment};

use crate::flawed::Flaw;
use crate::mutant::Mutant;
use crate::plain::{Entry, Line, Rules, refresh, renew};

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::plain(
            2,
            "makes a hold anew when it is renewed",
            Rules {
                renew: |line, request, now| renew(line, request, now) || hold(line, request, now),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_renewal_after_release_revives_nothing",
            "a renewal after release",
        )
        .killed_by(
            "renewal::a_renewal_after_a_successor_leaves_it_alone",
            "a renewal beside a successor",
        ),
        Mutant::plain(
            3,
            "renews whoever holds the name",
            Rules {
                renew: |line, _, now| {
                    line.entries.first_mut().is_some_and(|holder| {
                        refresh(holder, now);
                        true
                    })
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_renewal_after_a_successor_leaves_it_alone",
            "a renewal beside a successor",
        ),
        Mutant::plain(
            4,
            "acquires a lost lock again, if it is free, under the old token",
            Rules {
                renew: |line, request, now| {
                    renew(line, request, now) || line.entries.is_empty() && hold(line, request, now)
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_renewal_after_expiry_revives_nothing",
            "a renewal after expiry",
        ),
        Mutant::flawed(
            19,
            "never tells that a hold is lost",
            Flaw {
                renew: |claim, by| {
                    Box::pin(async move {
                        let as_of = Moment::now();
                        claim.inner.renew(by).await?;
                        Ok(Renewal::Extended(as_of))
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "loss::a_hold_that_the_store_forgot_is_told_at_its_renewal",
            "the loss",
        )
        .killed_by(
            "renewal::a_renewal_after_expiry_revives_nothing",
            "a renewal after expiry",
        ),
        Mutant::plain(
            66,
            "says that a renewal worked, and extends nothing",
            Rules {
                renew: |line, request, _| line.entries.iter().any(|entry| entry.id == request.id),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_hold_outlives_its_ttl",
            "another holder beside one that is renewed",
        ),
        Mutant::plain(
            67,
            "renews no readers",
            Rules {
                renew: |line, request, now| {
                    request.mode == Mode::Shared || renew(line, request, now)
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::readers_outlive_their_ttl",
            "another holder beside one that is renewed",
        ),
        Mutant::plain(
            68,
            "renews no permits",
            Rules {
                renew: |line, request, now| {
                    matches!(request.mode, Mode::Permit { .. }) || renew(line, request, now)
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::permits_outlive_their_ttl",
            "another holder beside one that is renewed",
        ),
        Mutant::plain(
            69,
            "renews no hold that had to wait",
            Rules {
                renew: |line, request, now| {
                    line.entries
                        .retain(|entry| entry.id != request.id || !entry.waited);
                    renew(line, request, now)
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_hold_that_waited_long_is_kept",
            "lost with nothing in the way of its renewals",
        ),
        Mutant::flawed(
            70,
            "tells that a hold is gone as an outage",
            Flaw {
                renew: |claim, by| {
                    Box::pin(async move {
                        match claim.inner.renew(by).await? {
                            Renewal::Lost => {
                                Err(Error::new(ErrorKind::Unavailable, "no such session"))
                            }
                            renewal => Ok(renewal),
                        }
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "loss::a_hold_that_the_store_forgot_is_told_at_its_renewal",
            "Revoked",
        ),
        Mutant::flawed(
            71,
            "hangs in a renewal, past every deadline",
            Flaw {
                renew: |claim, by| match claim.renewals {
                    2 => Box::pin(std::future::pending()),
                    _ => claim.inner.renew(by),
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "renewal::a_hold_outlives_its_ttl",
            "lost with nothing in the way of its renewals",
        ),
    ]
}

/// Makes this claim a holder, whoever else there is.
fn hold(line: &mut Line, request: &ClaimRequest, now: Moment) -> bool {
    let mut entry = Entry::new(request, true, now);
    entry.number = Some(line.last);
    refresh(&mut entry, now);
    line.entries.insert(0, entry);
    true
}
