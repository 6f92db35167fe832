use std::time::Duration;

use distlock_core::Moment;
use distlock_core::backend::{Attempt, Renewal};
use tokio::time::sleep;

use crate::flawed::Flaw;
use crate::mutant::Mutant;

/// For how long an answer is on its way.
const LATE: Duration = Duration::from_millis(250);

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::flawed(
            12,
            "dates a grant from its answer",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let mut attempt = claim.inner.attempt(patience).await?;
                        if claim.attempts == 1 {
                            sleep(LATE).await;
                        }
                        if let Attempt::Held(hold) = &mut attempt {
                            hold.as_of = Moment::now();
                        }
                        Ok(attempt)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "validity::a_hold_is_never_dated_later_than_the_store_counts",
            "before the validity of the last was over",
        ),
        Mutant::flawed(
            13,
            "dates a grant by a clock that is ahead",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let mut attempt = claim.inner.attempt(patience).await?;
                        if let Attempt::Held(hold) = &mut attempt {
                            hold.as_of = hold.as_of + Duration::from_secs(1);
                        }
                        Ok(attempt)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "validity::a_hold_is_never_dated_later_than_the_store_counts",
            "a hold dated in the future",
        ),
        Mutant::flawed(
            64,
            "dates a renewal from its answer",
            Flaw {
                renew: |claim, by| {
                    Box::pin(async move {
                        let renewal = claim.inner.renew(by).await?;
                        sleep(LATE).await;
                        Ok(match renewal {
                            Renewal::Extended(_) => Renewal::Extended(Moment::now()),
                            lost => lost,
                        })
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "validity::a_renewal_is_never_dated_later_than_the_store_counts",
            "before the validity of the last was over",
        ),
        Mutant::flawed(
            65,
            "tells a TTL twice as long as the one it keeps",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let mut attempt = claim.inner.attempt(patience).await?;
                        if let Attempt::Held(hold) = &mut attempt {
                            hold.ttl *= 2;
                        }
                        Ok(attempt)
                    })
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::a_hold_has_the_ttl_that_was_asked_for_but_for_the_step",
            "were asked for",
        ),
    ]
}
