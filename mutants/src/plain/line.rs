use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::{ClaimRequest, Signals};
use distlock_core::{Error, ErrorKind, FencingToken, LockState, Mode, Moment, Result};

use super::Rules;

/// Those who hold a name and those who wait for it, in the order of their arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) entries: Vec<Entry>,
    /// The greatest number ever given.
    pub(crate) last: u64,
    /// How often the name was granted.
    pub(crate) grants: u64,
    /// How often it was released.
    pub(crate) releases: u64,
}

/// A holder, with a number, or a waiter, without.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: u128,
    pub(crate) owner: Arc<str>,
    pub(crate) label: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) ttl: Duration,
    pub(crate) joined: Moment,
    pub(crate) expires: Moment,
    pub(crate) number: Option<u64>,
    pub(crate) signals: Signals,
    /// Whether it came to stay, or only to try.
    pub(crate) stays: bool,
    /// Whether it was not granted at once.
    pub(crate) waited: bool,
    /// How often it was renewed.
    pub(crate) renewals: u32,
}

/// Where a claim stands.
pub(super) enum Place {
    Held(u64),
    /// It waits; the first of those before it expires after so long.
    Behind(Duration),
}

impl Line {
    /// Drops those who have expired, and grants the name to those whose turn it is.
    pub(crate) fn settle(&mut self, rules: &Rules, now: Moment) {
        self.entries.retain(|entry| (rules.is_alive)(entry, now));
        for at in 0..self.entries.len() {
            if self.entries[at].number.is_none() && (rules.is_turn)(&self.entries, at) {
                let number = (rules.number)(self, at);
                self.last = self.last.max(number);
                self.grants += 1;
                let entry = &mut self.entries[at];
                entry.number = Some(number);
                (rules.granted)(entry, now);
                entry.signals.look();
            }
        }
    }

    pub(super) fn enter(
        &mut self,
        rules: &Rules,
        request: &ClaimRequest,
        wait: bool,
        now: Moment,
    ) -> Result<Place> {
        self.settle(rules, now);
        let mixes = |entry: &Entry| (rules.mixes)(entry.mode, request.mode);
        if let Some(other) = self.entries.iter().find(|entry| !mixes(entry)) {
            let conflict = format!("asked for as {}, in use as {}", request.mode, other.mode);
            return Err(Error::new(ErrorKind::Conflict, conflict));
        }
        match self.own(request) {
            Some(at) => (rules.asked_again)(&mut self.entries[at], now),
            None => {
                let mut entry = Entry::new(request, wait, now);
                (rules.refresh)(&mut entry, now);
                let at = (rules.joins_at)(&self.entries);
                self.entries.insert(at, entry);
            }
        }
        self.settle(rules, now);
        let Some(at) = self.own(request) else {
            return Ok(Place::Behind(Duration::ZERO));
        };
        if let Some(number) = self.entries[at].number {
            return Ok(Place::Held(number));
        }
        let first = self.entries[..at].iter().map(|entry| entry.expires).min();
        if wait {
            self.entries[at].waited = true;
        } else {
            self.entries.remove(at);
            self.settle(rules, now);
        }
        Ok(Place::Behind(
            first.map_or(Duration::ZERO, |first| first.since(now)),
        ))
    }

    /// Which entry is that of this claim.
    pub(crate) fn own(&self, request: &ClaimRequest) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == request.id)
    }

    /// The number that this claim was granted, if it was.
    pub(super) fn number_of(&self, request: &ClaimRequest) -> Option<u64> {
        self.own(request).and_then(|at| self.entries[at].number)
    }

    pub(super) fn state(&self, rules: &Rules, now: Moment) -> LockState {
        let shown = |entry: &Entry| {
            let mut shown = distlock_core::Entry::new(entry.mode);
            shown.owner = Some(entry.owner.to_string());
            shown.label = Some(entry.label.to_string());
            shown.token = entry
                .number
                .and_then(|number| FencingToken::from_number(number).ok());
            shown.age = Some(now.since(entry.joined));
            shown.expires_in = Some(entry.expires.since(now));
            shown
        };
        let alive = self
            .entries
            .iter()
            .filter(|entry| (rules.is_shown)(entry, now));
        let (holders, waiters): (Vec<_>, Vec<_>) = alive.partition(|entry| entry.number.is_some());
        LockState::new(
            holders.into_iter().map(shown).collect(),
            waiters.into_iter().map(shown).collect(),
        )
    }
}

impl Entry {
    /// An entry of a claim that joins, not granted yet.
    pub(crate) fn new(request: &ClaimRequest, stays: bool, now: Moment) -> Self {
        Self {
            id: request.id,
            owner: Arc::clone(&request.owner),
            label: Arc::clone(&request.label),
            mode: request.mode,
            ttl: request.ttl.get(),
            joined: now,
            expires: now,
            number: None,
            signals: request.signals.clone(),
            stays,
            waited: false,
            renewals: 0,
        }
    }
}
