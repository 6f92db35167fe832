use std::fmt;

use distlock_core::backend::{ClaimRequest, Released};
use distlock_core::{Mode, Moment};

use super::line::{Entry, Line};

/// The decisions of a [`Plain`](super::Plain) store.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// Whether contenders in these two modes may stand in one line.
    pub(crate) mixes: fn(Mode, Mode) -> bool,
    /// Where a newcomer stands.
    pub(crate) joins_at: fn(&[Entry]) -> usize,
    /// Whether it is the turn of the entry at this place.
    pub(crate) is_turn: fn(&[Entry], usize) -> bool,
    /// The number of the grant to the entry at this place.
    pub(crate) number: fn(&Line, usize) -> u64,
    /// Whether an entry has not expired.
    pub(crate) is_alive: fn(&Entry, Moment) -> bool,
    /// Whether an entry is shown to those who inspect the name.
    pub(crate) is_shown: fn(&Entry, Moment) -> bool,
    /// What being heard from does to an entry.
    pub(crate) refresh: fn(&mut Entry, Moment),
    /// What an attempt does to the entry that its claim has already.
    pub(crate) asked_again: fn(&mut Entry, Moment),
    /// What being granted does to an entry.
    pub(crate) granted: fn(&mut Entry, Moment),
    /// Renews the hold of this claim; `false` if it has none.
    pub(crate) renew: fn(&mut Line, &ClaimRequest, Moment) -> bool,
    /// Takes this claim out of the line.
    pub(crate) leave: fn(&mut Line, &ClaimRequest) -> Released,
    /// Whether a claim joins the line as soon as it is named.
    pub(crate) claims_join: bool,
}

impl Rules {
    /// Those of a store that keeps every promise.
    pub(crate) const SOUND: Self = Self {
        mixes: Mode::mixes_with,
        joins_at: <[Entry]>::len,
        is_turn,
        number: |line, _| line.last + 1,
        is_alive,
        is_shown: is_alive,
        refresh,
        asked_again: refresh,
        granted: |_, _| {},
        renew,
        leave,
        claims_join: false,
    };
}

/// Whether the entry is compatible with all before it.
pub(crate) fn is_turn(entries: &[Entry], at: usize) -> bool {
    let before = &entries[..at];
    match entries[at].mode {
        Mode::Shared => before.iter().all(|entry| entry.mode == Mode::Shared),
        Mode::Permit { limit } => before.len() < limit as usize,
        _ => before.is_empty(),
    }
}

pub(crate) fn is_alive(entry: &Entry, now: Moment) -> bool {
    entry.expires > now
}

pub(crate) fn refresh(entry: &mut Entry, now: Moment) {
    entry.expires = now + entry.ttl;
}

pub(crate) fn renew(line: &mut Line, request: &ClaimRequest, now: Moment) -> bool {
    let hold = line
        .entries
        .iter_mut()
        .find(|entry| entry.id == request.id && entry.number.is_some());
    let Some(hold) = hold else {
        return false;
    };
    refresh(hold, now);
    hold.renewals += 1;
    true
}

pub(crate) fn leave(line: &mut Line, request: &ClaimRequest) -> Released {
    let Some(at) = line.own(request) else {
        return Released::NotHeld;
    };
    let left = line.entries.remove(at);
    if left.number.is_none() {
        return Released::NotHeld;
    }
    line.releases += 1;
    Released::Held
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}
