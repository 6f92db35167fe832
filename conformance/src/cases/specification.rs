//! The specification: whatever is asked of a store, in whatever order, the answers are those of a
//! `LockQueue`.

use std::time::Duration;

use distlock_core::Deadline;

use crate::case::Case;
use crate::context::Context;
use crate::failure::Outcome;
use crate::specification::{Time, hold_to_the_queue};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(requests_are_answered_as_by_the_queue),
        Case::of(claims_expire_as_in_the_queue).long(),
    ]
}

/// Nothing expires: many scripts, one after the other.
async fn requests_are_answered_as_by_the_queue(cx: Context) -> Outcome {
    let until = Deadline::within(Duration::from_secs(2));
    hold_to_the_queue(&cx, Time::Stands, 4, until).await?;
    Ok(())
}

/// Claims expire between requests, which takes its time: a few scripts, all at once.
async fn claims_expire_as_in_the_queue(cx: Context) -> Outcome {
    hold_to_the_queue(&cx, Time::Passes, 12, Deadline::within(Duration::ZERO)).await?;
    Ok(())
}
