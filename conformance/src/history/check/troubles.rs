use std::collections::HashMap;
use std::time::Duration;

use super::super::event::{Effect, What};
use super::facts::Facts;
use super::op::Stamp;
use super::spans::{Span, Spans};

/// Pauses and faults that have begun.
#[derive(Default)]
pub(super) struct Troubles {
    /// Since when, and by how many that do not know of each other.
    paused: HashMap<u32, (Duration, usize)>,
    pauses: HashMap<u32, Vec<Span>>,
    faults: HashMap<u32, (Duration, Effect)>,
    disturbed: Vec<Span>,
    forgetful: Vec<Span>,
    split: Vec<Span>,
}

impl Troubles {
    pub(super) fn note(&mut self, stamp: Stamp, what: &What, facts: &mut Facts<'_>) {
        let at = stamp.at;
        match *what {
            What::Started { client } => {
                let client = facts.clients.entry(client).or_default();
                client.started.get_or_insert(stamp);
            }
            What::Paused { client } => {
                self.paused.entry(client).or_insert((at, 0)).1 += 1;
            }
            What::Resumed { client } => self.resumed(client, at),
            What::Killed { client } => {
                while self.paused.contains_key(&client) {
                    self.resumed(client, at);
                }
                let client = facts.clients.entry(client).or_default();
                client.killed.get_or_insert(stamp);
                client.gone.get_or_insert(at);
            }
            What::Ended { client } => {
                let client = facts.clients.entry(client).or_default();
                client.gone.get_or_insert(at);
            }
            What::FaultBegan { fault, effect, .. } => {
                self.faults.insert(fault, (at, effect));
            }
            What::FaultEnded { fault } => self.ended(fault, at, facts.terms.settles),
            What::Done => facts.done = Some(stamp),
            _ => {}
        }
    }

    fn resumed(&mut self, client: u32, at: Duration) {
        let Some((from, times)) = self.paused.get_mut(&client) else {
            return;
        };
        *times -= 1;
        if *times == 0 {
            let span = Span {
                from: *from,
                to: at,
            };
            self.paused.remove(&client);
            self.pauses.entry(client).or_default().push(span);
        }
    }

    fn ended(&mut self, fault: u32, at: Duration, settles: Duration) {
        let Some((from, effect)) = self.faults.remove(&fault) else {
            return;
        };
        let to = at.saturating_add(settles);
        self.disturbed.push(Span { from, to });
        if effect != Effect::Disturbs {
            self.forgetful.push(Span { from, to });
        }
        if effect == Effect::Splits {
            self.split.push(Span { from, to });
        }
    }

    pub(super) fn tell(mut self, facts: &mut Facts<'_>) {
        let forever = Duration::MAX;
        let faults: Vec<_> = self.faults.keys().copied().collect();
        for fault in faults {
            self.ended(fault, forever, Duration::ZERO);
        }
        for (client, (from, _)) in self.paused {
            let span = Span { from, to: forever };
            self.pauses.entry(client).or_default().push(span);
        }
        for (client, pauses) in self.pauses {
            facts.clients.entry(client).or_default().paused = Spans::covering(pauses);
        }
        facts.disturbed = Spans::covering(self.disturbed);
        facts.forgetful = Spans::covering(self.forgetful);
        facts.split = Spans::covering(self.split);
    }
}
