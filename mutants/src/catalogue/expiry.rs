use std::time::Duration;

use distlock_core::Mode;

use crate::mutant::Mutant;
use crate::plain::{Rules, is_alive, refresh, renew};
use crate::records::Swaps;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::plain(
            10,
            "never lets anything expire",
            Rules {
                is_alive: |_, _| true,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_dead_holder_is_taken_over_after_its_ttl_and_not_before",
            "the lock of a dead holder",
        ),
        Mutant::plain(
            11,
            "lets a hold expire after half of the TTL that it tells",
            Rules {
                refresh: |entry, now| entry.expires = now + entry.ttl / 2,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_dead_holder_is_taken_over_after_its_ttl_and_not_before",
            "taken over",
        ),
        Mutant::records(
            14,
            "keeps time by a clock that runs twice as fast",
            Swaps {
                clock: |passed| 2 * passed,
                ..Swaps::SOUND
            },
        )
        .killed_by(
            "validity::a_hold_is_never_dated_later_than_the_store_counts",
            "before the validity of the last was over",
        ),
        Mutant::plain(
            45,
            "takes a hold away that was renewed in time",
            Rules {
                renew: |line, request, now| {
                    line.entries
                        .retain(|entry| entry.id != request.id || entry.renewals < 2);
                    renew(line, request, now)
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_hold_outlives_its_ttl",
            "lost with nothing in the way of its renewals",
        ),
        Mutant::plain(
            56,
            "sets no TTL on a lock that it hands over",
            Rules {
                is_alive: |entry, now| entry.waited || is_alive(entry, now),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_dead_waiter_delays_nobody_past_its_ttl",
            "the lock past a dead waiter",
        ),
        Mutant::plain(
            57,
            "starts the TTL of a waiter anew when it is granted",
            Rules {
                granted: refresh,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_hand_over_to_a_dead_waiter_does_not_restart_its_ttl",
            "the lock past a dead waiter that was granted it",
        ),
        Mutant::plain(
            58,
            "never lets a reader expire",
            Rules {
                is_alive: |entry, now| entry.mode == Mode::Shared || is_alive(entry, now),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_dead_reader_lets_the_writer_in",
            "the name of a dead reader",
        ),
        Mutant::plain(
            59,
            "never lets a permit expire",
            Rules {
                is_alive: |entry, now| {
                    matches!(entry.mode, Mode::Permit { .. }) || is_alive(entry, now)
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_dead_holder_s_permit_comes_back",
            "the permit of a dead holder",
        ),
        Mutant::plain(
            60,
            "does not hear from a holder that asks again",
            Rules {
                asked_again: |entry, now| {
                    if entry.number.is_none() {
                        refresh(entry, now);
                    }
                },
                ..Rules::SOUND
            },
        )
        .killed_by("ttl::a_claim_that_asks_again_lives_on", "still the holder"),
        Mutant::plain(
            61,
            "does not hear from a waiter that asks again",
            Rules {
                asked_again: |entry, now| {
                    if entry.number.is_some() {
                        refresh(entry, now);
                    }
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "renewal::a_place_in_line_outlives_its_ttl",
            "the lock for the first who waited",
        ),
        Mutant::plain(
            62,
            "shows the dead until somebody comes to ask for the lock",
            Rules {
                is_shown: |_, _| true,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "ttl::a_dead_holder_does_not_stop_a_try_after_its_ttl",
            "a dead holder is shown after its TTL",
        ),
        Mutant::plain(
            63,
            "rounds a TTL up to seconds",
            Rules {
                refresh: in_seconds,
                asked_again: in_seconds,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "capabilities::the_expiry_shown_is_the_expiry_kept",
            "left of a TTL of",
        ),
    ]
}

fn in_seconds(entry: &mut crate::plain::Entry, now: distlock_core::Moment) {
    let seconds = entry.ttl.as_secs_f64().ceil();
    entry.expires = now + Duration::from_secs_f64(seconds);
}
