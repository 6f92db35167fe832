use std::sync::atomic::Ordering;

use distlock_core::backend::{Attempt, Hold};
use distlock_core::{LockState, Mode};

use crate::flawed::Flaw;
use crate::mutant::Mutant;
use crate::plain::{Line, Rules, renew};
use crate::records::Swaps;
use crate::trial::HAND_OVERS;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::flawed(
            5,
            "counts the tokens of each client by itself",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let Attempt::Held(hold) = claim.inner.attempt(patience).await? else {
                            return Ok(Attempt::Blocked(Default::default()));
                        };
                        let number = claim.held.map_or_else(
                            || 1 + claim.client.count.fetch_add(1, Ordering::SeqCst),
                            |held| held.number,
                        );
                        Ok(Attempt::Held(Hold::new(number, hold.ttl, hold.as_of)))
                    })
                },
                inspected: hide_tokens,
                ..Flaw::NONE
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_clients_that_come_and_go",
            "tokens in the order of their grants",
        ),
        Mutant::records(
            6,
            "forgets the tokens of a name that nobody stands for",
            Swaps {
                keeps: |queue, now| !queue.state(now).is_free(),
                ..Swaps::SOUND
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_release",
            "tokens in the order of their grants",
        ),
        Mutant::plain(
            7,
            "takes tokens from a clock that is set back now and then",
            Rules {
                number: |line, _| 1_000_000 + 1000 * line.grants - 6000 * (line.grants / 4),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_release",
            "tokens in the order of their grants",
        ),
        Mutant::flawed(
            8,
            "tells a counter of the store, as of the answer, for the token",
            Flaw {
                attempt: |claim, patience| {
                    Box::pin(async move {
                        let mut attempt = claim.inner.attempt(patience).await?;
                        if let Attempt::Held(hold) = &mut attempt {
                            hold.number += u64::from(claim.attempts);
                        }
                        Ok(attempt)
                    })
                },
                inspected: hide_tokens,
                ..Flaw::NONE
            },
        )
        .killed_by(
            "fencing::asking_again_gives_the_same_number",
            "the number of one grant",
        )
        .killed_by(
            "unknown::asking_again_finds_the_same_hold",
            "the number of one hold",
        ),
        Mutant::plain(
            9,
            "gives a hold another token when it is renewed",
            Rules {
                renew: |line, request, now| {
                    let renewed = renew(line, request, now);
                    let number = line.last + 1;
                    for entry in line
                        .entries
                        .iter_mut()
                        .filter(|entry| entry.id == request.id)
                    {
                        entry.number = Some(number);
                        line.last = number;
                    }
                    renewed
                },
                ..Rules::SOUND
            },
        )
        .killed_by("fencing::renewal_keeps_the_token", "one holder, with token"),
        Mutant::plain(
            50,
            "gives all readers that hold together one token",
            Rules {
                number: |line, at| number_of_those_beside(line, at, Mode::Shared),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::readers_have_tokens_of_their_own",
            "tokens in the order of their grants",
        ),
        Mutant::plain(
            51,
            "gives all permits that are held together one token",
            Rules {
                number: |line, at| match line.entries[at].mode {
                    mode @ Mode::Permit { .. } => number_of_those_beside(line, at, mode),
                    _ => line.last + 1,
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::permits_have_tokens_of_their_own",
            "tokens in the order of their grants",
        ),
        Mutant::plain(
            52,
            "counts the tokens of readers by themselves",
            Rules {
                number: |line, at| match line.entries[at].mode {
                    Mode::Shared => 1 + line.grants,
                    _ => 1_000_000 + line.grants,
                },
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_modes",
            "tokens in the order of their grants",
        ),
        Mutant::plain(
            53,
            "counts releases for tokens, so none passes with an expiry",
            Rules {
                number: |line, _| 1 + line.releases,
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_expiry",
            "tokens in the order of their grants",
        ),
        Mutant::plain(
            54,
            "hands the token over with the lock",
            Rules {
                number: |line, at| line.last + u64::from(!line.entries[at].waited),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_a_hand_over",
            "tokens in the order of their grants",
        )
        .spoils(HAND_OVERS),
        Mutant::plain(
            55,
            "counts no tokens for those who only try",
            Rules {
                number: |line, at| line.last.max(1) + u64::from(line.entries[at].stays),
                ..Rules::SOUND
            },
        )
        .killed_by(
            "fencing::tokens_grow_across_tries",
            "tokens in the order of their grants",
        ),
    ]
}

fn hide_tokens(state: &mut LockState) {
    state
        .holders
        .iter_mut()
        .for_each(|holder| holder.token = None);
}

fn number_of_those_beside(line: &Line, at: usize, mode: Mode) -> u64 {
    let beside = line.entries[..at]
        .iter()
        .filter(|entry| entry.mode == mode && line.entries[at].mode == mode)
        .find_map(|entry| entry.number);
    beside.unwrap_or(line.last + 1)
}
