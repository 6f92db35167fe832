use std::collections::HashMap;
use std::time::Duration;
use std::{error, fmt};

use super::super::event::Event;
use super::super::terms::Terms;
use super::op::{Op, Stamp};
use super::spans::{Span, Spans};
use super::troubles::Troubles;

/// That a history contradicts itself, so that nothing can be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed {
    /// Which event does not go with what came before, by its position.
    pub event: usize,
    /// Why.
    pub why: String,
}

/// A history by operations, clients and faults.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) events: &'a [Event],
    pub(super) terms: &'a Terms,
    /// In the order in which they were invoked.
    pub(super) ops: Vec<Op<'a>>,
    /// The operations by their names, and in the order in which they were invoked.
    pub(super) by_name: Vec<Vec<usize>>,
    pub(super) clients: HashMap<u32, Client>,
    /// When something was wrong with the store, or may still have been felt.
    pub(super) disturbed: Spans,
    /// When the store may have forgotten.
    pub(super) forgetful: Spans,
    /// When there may have been two stores.
    pub(super) split: Spans,
    /// When the history ends.
    pub(super) end: Duration,
    /// From when on everybody has had time enough, and where that is said.
    pub(super) done: Option<Stamp>,
    by_id: HashMap<u64, usize>,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) started: Option<Stamp>,
    pub(super) paused: Spans,
    pub(super) killed: Option<Stamp>,
    /// Killed or ended.
    pub(super) gone: Option<Duration>,
}

impl Malformed {
    pub(super) fn at(event: usize, why: &str) -> Self {
        let why = why.to_owned();
        Self { event, why }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event, self.why)
    }
}

impl error::Error for Malformed {}

impl<'a> Facts<'a> {
    pub(super) fn of(events: &'a [Event], terms: &'a Terms) -> Result<Self, Malformed> {
        let end = events.last().map_or(Duration::ZERO, |event| event.at);
        let mut facts = Self {
            events,
            terms,
            ops: Vec::new(),
            by_name: Vec::new(),
            clients: HashMap::new(),
            disturbed: Spans::default(),
            forgetful: Spans::default(),
            split: Spans::default(),
            end,
            done: None,
            by_id: HashMap::new(),
        };
        let mut names = HashMap::new();
        let mut troubles = Troubles::default();
        for (event, Event { at, what }) in events.iter().enumerate() {
            let stamp = Stamp { at: *at, event };
            if let Some(op) = Op::invoked(stamp, what) {
                let number = facts.ops.len();
                if facts.by_id.insert(op.id, number).is_some() {
                    return Err(Malformed::at(event, "the operation was invoked before"));
                }
                let name = *names.entry(op.name).or_insert_with(|| {
                    facts.by_name.push(Vec::new());
                    facts.by_name.len() - 1
                });
                facts.by_name[name].push(number);
                facts.ops.push(op);
            } else if let Some(id) = what.op() {
                let Some(&op) = facts.by_id.get(&id) else {
                    return Err(Malformed::at(event, "nobody began this operation"));
                };
                facts.ops[op].note(stamp, what)?;
            } else {
                troubles.note(stamp, what, &mut facts);
            }
        }
        troubles.tell(&mut facts);
        Ok(facts)
    }

    /// The operation of this id.
    pub(super) fn op(&self, id: u64) -> Option<&Op<'a>> {
        self.by_id.get(&id).map(|op| &self.ops[*op])
    }

    /// Whether the store may have forgotten anything between these times.
    pub(super) fn may_have_forgotten(&self, from: Duration, to: Duration) -> bool {
        self.forgetful.touch(from, to)
    }

    /// Whether there may have been two stores between these times.
    pub(super) fn may_have_split(&self, from: Duration, to: Duration) -> bool {
        self.split.touch(from, to)
    }

    /// Whether the client was paused between these times.
    pub(super) fn was_paused(&self, client: u32, from: Duration, to: Duration) -> bool {
        let client = self.clients.get(&client);
        client.is_some_and(|client| client.paused.touch(from, to))
    }

    /// Whether all was well between these times, for the store and for the client.
    pub(super) fn was_well(&self, client: u32, from: Duration, to: Duration) -> bool {
        !self.disturbed.touch(from, to)
            && !self.was_paused(client, from, to)
            && self.gone(client).is_none_or(|gone| gone > to)
    }

    /// This time, or when the client could go on if it was paused then.
    pub(super) fn resumed_after(&self, client: u32, time: Duration) -> Duration {
        let client = self.clients.get(&client);
        client.map_or(time, |client| client.paused.next_clear(time))
    }

    /// When the client stopped between these times, for good or for longer than this.
    pub(super) fn stopped(
        &self,
        client: u32,
        from: Duration,
        to: Duration,
        longer_than: Duration,
    ) -> Option<Duration> {
        let client = self.clients.get(&client)?;
        let killed = client.killed.map(|stamp| stamp.at);
        let killed = killed.filter(|killed| (from..=to).contains(killed));
        let paused = client.paused.first_longer(longer_than, from, to);
        let paused = paused.map(|span| span.from.max(from));
        killed.into_iter().chain(paused).min()
    }

    /// When the client heard nothing between these times.
    pub(super) fn deaf(&self, client: u32, from: Duration, to: Duration) -> Vec<Span> {
        let Some(client) = self.clients.get(&client) else {
            return Vec::new();
        };
        let killed = client.killed.map(|stamp| Span { from: stamp.at, to });
        let killed = killed.filter(|killed| (from..=to).contains(&killed.from));
        client.paused.parts(from, to).chain(killed).collect()
    }

    /// When the client was not paused between these times.
    pub(super) fn awake(&self, client: u32, from: Duration, to: Duration) -> Vec<Span> {
        match self.clients.get(&client) {
            Some(client) => client.paused.gaps(from, to),
            None => vec![Span { from, to }],
        }
    }

    /// For how long no fault was felt.
    pub(super) fn calm(&self) -> Duration {
        let began = self.events.first().map_or(self.end, |event| event.at);
        let calm = self.disturbed.gaps(began, self.end).into_iter();
        calm.map(|span| span.to - span.from).sum()
    }

    /// The longest time between these two in which no fault was felt.
    pub(super) fn longest_calm(
        &self,
        from: Duration,
        to: Duration,
    ) -> Option<(Duration, Duration)> {
        let calm = self.disturbed.gaps(from, to).into_iter();
        let longest = calm.max_by_key(|span| span.to - span.from)?;
        Some((longest.from, longest.to))
    }

    pub(super) fn killed(&self, client: u32) -> Option<Stamp> {
        self.clients.get(&client)?.killed
    }

    /// When the client was killed or has ended.
    pub(super) fn gone(&self, client: u32) -> Option<Duration> {
        self.clients.get(&client)?.gone
    }

    /// The operations of each name, in the order in which they were invoked.
    pub(super) fn names(&self) -> impl Iterator<Item = Vec<&Op<'a>>> {
        let ops = |numbers: &Vec<usize>| numbers.iter().map(|op| &self.ops[*op]).collect();
        self.by_name.iter().map(ops)
    }
}
