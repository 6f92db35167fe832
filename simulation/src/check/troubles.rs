use std::time::Duration;

use super::Terms;
use crate::event::{Event, What};
use crate::journey::{Journey, PROMPT};

/// When something was wrong with the store, with a client, or with what passed between them.
#[derive(Debug)]
pub(super) struct Troubles {
    /// Of each client; those of hints to it; and that it was told of a loss.
    clients: Vec<Vec<Span>>,
    hints: Vec<Vec<Span>>,
    refusals: Vec<Vec<Span>>,
    /// When nothing reached it.
    deafness: Vec<Vec<Span>>,
    /// From when on something of it may have come after it was given up, or once more; where claims
    /// stand under sessions, also after what was asked later.
    late: Vec<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: Duration,
    to: Duration,
}

impl Troubles {
    pub(super) fn of(events: &[Event], terms: &Terms) -> Self {
        let clients = terms.clients.len();
        let mut troubles = Self {
            clients: vec![Vec::new(); clients],
            hints: vec![Vec::new(); clients],
            refusals: vec![Vec::new(); clients],
            deafness: vec![Vec::new(); clients],
            late: vec![Duration::MAX; clients],
        };
        for Event { at: from, what } in events {
            let from = *from;
            troubles.note_late(from, what, terms);
            match what {
                What::Sent {
                    client, journey, ..
                }
                | What::Replied {
                    client, journey, ..
                } if !journey.is_prompt() || terms.in_sessions && journey.is_doubled() => {
                    let to = from + longest(journey);
                    troubles.clients[*client].push(Span { from, to });
                    if matches!(journey, Journey::Refused(_)) {
                        troubles.refusals[*client].push(Span { from, to });
                    }
                }
                What::Hinted {
                    client, journey, ..
                } if !journey.is_prompt() => {
                    let to = from + longest(journey);
                    troubles.hints[*client].push(Span { from, to });
                }
                What::ClientPaused { client, until } | What::CutOff { client, until } => {
                    let to = *until + PROMPT;
                    troubles.clients[*client].push(Span { from, to });
                    troubles.deafness[*client].push(Span { from, to });
                }
                What::ServerPaused { until } => {
                    let to = *until + PROMPT;
                    let all = troubles.clients.iter_mut();
                    all.for_each(|spans| spans.push(Span { from, to }));
                }
                What::Crashed { client } => {
                    let to = Duration::MAX;
                    troubles.clients[*client].push(Span { from, to });
                    troubles.deafness[*client].push(Span { from, to });
                }
                _ => {}
            }
        }
        troubles
    }

    fn note_late(&mut self, at: Duration, what: &What, terms: &Terms) {
        let mut late = |client: usize| self.late[client] = at.min(self.late[client]);
        match what {
            What::Sent {
                client, journey, ..
            }
            | What::Replied {
                client, journey, ..
            } if longest(journey) + PROMPT >= terms.clients[*client].own_ttl / 6
                || terms.in_sessions && (longest(journey) > PROMPT || journey.is_doubled()) =>
            {
                late(*client);
            }
            What::ClientPaused { client, .. } | What::Crashed { client } => late(*client),
            What::ServerPaused { .. } => (0..terms.clients.len()).for_each(late),
            _ => {}
        }
    }

    /// Whether anything of the client may have come late, or once more, by then.
    pub(super) fn had_late(&self, client: usize, by: Duration) -> bool {
        self.late[client] <= by
    }

    /// Whether nothing was wrong between these times that a client asking the store would notice.
    pub(super) fn was_well(&self, client: usize, from: Duration, to: Duration) -> bool {
        !touches(&self.clients[client], from, to)
    }

    /// Whether what was on its way to the client reached it between these times.
    pub(super) fn can_hear(&self, client: usize, from: Duration, to: Duration) -> bool {
        !touches(&self.deafness[client], from, to)
    }

    /// Whether the client was told between these times that a message of its is lost.
    pub(super) fn was_refused(&self, client: usize, from: Duration, to: Duration) -> bool {
        touches(&self.refusals[client], from, to)
    }

    /// Whether, besides, every hint that was given came soon.
    pub(super) fn was_well_told(&self, client: usize, from: Duration, to: Duration) -> bool {
        self.was_well(client, from, to) && !touches(&self.hints[client], from, to)
    }
}

fn touches(spans: &[Span], from: Duration, to: Duration) -> bool {
    spans.iter().any(|span| span.from <= to && from <= span.to)
}

fn longest(journey: &Journey) -> Duration {
    match journey {
        Journey::Arrives(after) => after.iter().max().copied().unwrap_or_default(),
        Journey::Refused(after) => *after,
        Journey::Lost => Duration::ZERO,
    }
}
