use std::time::Duration;

use distlock_core::Mode;

use crate::flawed::Flaw;
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::flawed(
            91,
            "may forget more than it says",
            Flaw {
                capabilities: |capabilities| capabilities.may_forget = true,
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::they_are_the_ones_that_were_pinned",
            "what was pinned",
        ),
        Mutant::flawed(
            92,
            "shows the last to come as the first in line",
            Flaw {
                inspected: |state| state.waiters.reverse(),
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::holders_and_waiters_are_shown_in_order",
            "in the order of their coming",
        ),
        Mutant::flawed(
            93,
            "shows every mode as exclusive",
            Flaw {
                inspected: |state| {
                    state
                        .holders
                        .iter_mut()
                        .for_each(|holder| holder.mode = Mode::Exclusive);
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::every_mode_is_shown_as_what_it_is",
            "mode: Exclusive",
        ),
        Mutant::flawed(
            94,
            "shows the TTL for the time that is left",
            Flaw {
                inspected: |state| {
                    for holder in &mut state.holders {
                        let age = holder.age.unwrap_or_default();
                        holder.expires_in = holder.expires_in.map(|left| left + age);
                    }
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::the_expiry_shown_is_the_expiry_kept",
            "after half of",
        ),
        Mutant::flawed(
            95,
            "shows another owner for each claim of a client",
            Flaw {
                request: |request| request.owner = format!("{:032x}", request.id).into(),
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::holders_and_waiters_are_shown_in_order",
            "two claims of one client",
        ),
        Mutant::flawed(
            96,
            "shows the same label for all",
            Flaw {
                request: |request| request.label = "distlock".into(),
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::holders_and_waiters_are_shown_in_order",
            "in the order of their coming",
        ),
        Mutant::flawed(
            97,
            "tells nobody who watches",
            Flaw {
                tells_watchers: false,
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::a_watch_tells_every_change_that_lasts",
            "word of",
        ),
        Mutant::flawed(
            98,
            "shows everybody as having just come",
            Flaw {
                inspected: |state| {
                    for entry in state.holders.iter_mut().chain(&mut state.waiters) {
                        entry.age = Some(Duration::ZERO);
                    }
                },
                ..Flaw::NONE
            },
        )
        .killed_by(
            "capabilities::holders_and_waiters_are_shown_in_order",
            "the holder's age",
        ),
        Mutant::declaring(
            100,
            "counts TTLs in steps of nothing, and says so",
            |capabilities| {
                capabilities.ttl_step = Duration::ZERO;
            },
        )
        .killed_by("capabilities::they_make_sense", "a step of 0ns"),
    ]
}
