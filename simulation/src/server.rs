use std::collections::HashMap;
use std::sync::Arc;

use distlock_core::Result;
use distlock_core::backend::{ClaimRequest, Signals};
use distlock_core::queue::{LockQueue, Outcome, Place, StoreTime};

use crate::bug::Bug;
use crate::event::What;
use crate::message::{Message, Reply, Verb};
use crate::session::Session;

/// The store: one [`LockQueue`] a name, and what it remembers of each claim.
#[derive(Debug)]
pub(crate) struct Server {
    bug: Option<Bug>,
    queues: Vec<LockQueue>,
    /// Who stands in each queue.
    standing: Vec<Vec<usize>>,
    sessions: HashMap<usize, Session>,
}

/// What doing a request came to.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// None, if the request came after a later one of its claim.
    pub(crate) reply: Option<Reply>,
    /// The claims that were granted their name meanwhile.
    pub(crate) granted: Vec<usize>,
    /// What happened in the store.
    pub(crate) happened: Vec<What>,
}

/// Grants are numbered from here: no wall clock, so that a seed says all.
const FLOOR: u64 = 1;

impl Server {
    pub(crate) fn new(names: usize, now: &StoreTime, bug: Option<Bug>) -> Self {
        Self {
            bug,
            queues: (0..names).map(|_| LockQueue::new(now)).collect(),
            standing: vec![Vec::new(); names],
            sessions: HashMap::new(),
        }
    }

    /// Does what the message asks for, unless that was done before or comes too late.
    pub(crate) fn serve(&mut self, message: &Message, now: &StoreTime) -> Done {
        let session = self
            .sessions
            .entry(message.claim)
            .or_insert_with(|| Session {
                client: message.client,
                name: message.name,
                request: Arc::clone(&message.request),
                sequence: 0,
                reply: None,
                stands: false,
                number: None,
            });
        if message.sequence == session.sequence {
            return Done {
                reply: session.reply.clone(),
                ..Done::default()
            };
        }
        if message.sequence < session.sequence && self.bug != Some(Bug::ReleaseIsNotFinal) {
            return Done::default();
        }
        let request = Arc::clone(&session.request);
        let mut done = Done::default();
        // First what has expired goes, as with a timer, so that one which goes and comes back is
        // seen to do so.
        if let Ok(granted) = self.queues[message.name].expire(now, FLOOR) {
            self.note(message.name, &granted, now, &mut done);
        }
        let outcome = self.act(message, &request, now);
        let reply = match outcome {
            Ok(Outcome {
                answer, granted, ..
            }) => {
                self.note(message.name, &granted, now, &mut done);
                Ok(self.bent(message.claim, message.verb, answer))
            }
            Err(error) => Err(error),
        };
        if let Some(session) = self.sessions.get_mut(&message.claim) {
            session.sequence = message.sequence;
            session.reply = Some(reply.clone());
        }
        done.reply = Some(reply);
        done
    }

    /// The reply to a grant is lost.
    pub(crate) fn reply_was_lost(&mut self, claim: usize, now: &StoreTime) -> Done {
        let mut done = Done::default();
        let Some(session) = self.sessions.get(&claim) else {
            return done;
        };
        let name = session.name;
        let is_held = matches!(session.reply, Some(Ok(Place::Held { .. })));
        if self.bug == Some(Bug::GrantsTwice)
            && is_held
            && let Ok(outcome) = self.queues[name].leave(claim as u128, now, FLOOR)
        {
            self.note(name, &outcome.granted, now, &mut done);
        }
        done
    }

    /// Drops what has expired of every name.
    pub(crate) fn expire(&mut self, now: &StoreTime) -> Done {
        let mut done = Done::default();
        for name in 0..self.queues.len() {
            if let Ok(granted) = self.queues[name].expire(now, FLOOR) {
                self.note(name, &granted, now, &mut done);
            }
        }
        done
    }

    /// Whether the hold of this number stands, expired or not.
    pub(crate) fn backs(&self, name: usize, number: u64, now: &StoreTime) -> bool {
        self.standing[name]
            .iter()
            .any(|claim| self.queues[name].place(*claim as u128, now) == Place::Held { number })
    }

    /// How many stand in the queue, held or waiting.
    pub(crate) fn entries(&self, name: usize) -> usize {
        self.standing[name].len()
    }

    pub(crate) fn signals(&self, claim: usize) -> Option<(usize, Signals)> {
        let session = self.sessions.get(&claim)?;
        Some((session.client, session.signals().clone()))
    }

    /// One of those that stand in the queue.
    pub(crate) fn any_of(&self, name: usize, rng: &mut fastrand::Rng) -> Option<usize> {
        rng.choice(self.standing[name].iter().copied())
    }

    fn act(
        &mut self,
        message: &Message,
        request: &ClaimRequest,
        now: &StoreTime,
    ) -> Result<Outcome<Place>> {
        let id = message.claim as u128;
        let queue = &mut self.queues[message.name];
        let place = queue.place(id, now);
        match (message.verb, self.bug) {
            (Verb::Enter { .. }, Some(Bug::NoRefresh)) if place != Place::Absent => {
                // What has expired has gone already, so nothing is granted by this: only looked at.
                queue.clone().renew(id, now, FLOOR)
            }
            (Verb::Enter { .. }, Some(Bug::TryLeavesPlace)) => {
                queue.enter(request, true, now, FLOOR)
            }
            (Verb::Enter { wait }, _) => queue.enter(request, wait, now, FLOOR),
            (Verb::Renew, Some(Bug::RenewalDoesNothing)) => queue.clone().renew(id, now, FLOOR),
            (Verb::Renew, _) => queue.renew(id, now, FLOOR),
            (Verb::Leave, Some(Bug::ReleasesAnyone)) => {
                let holder = self.standing[message.name].first();
                queue.leave(holder.map_or(id, |holder| *holder as u128), now, FLOOR)
            }
            (Verb::Leave, Some(Bug::WaiterStays)) if matches!(place, Place::Waiting { .. }) => {
                queue.renew(id, now, FLOOR)
            }
            (Verb::Leave, _) => queue.leave(id, now, FLOOR),
        }
    }

    /// The answer as a store with this bug gives it.
    fn bent(&self, claim: usize, verb: Verb, answer: Place) -> Place {
        let session = self.sessions.get(&claim);
        let granted_once = session.and_then(|session| session.number);
        match (self.bug, verb, answer, granted_once) {
            (Some(Bug::GrantsTwice), Verb::Enter { .. } | Verb::Renew, _, Some(number)) => {
                Place::Held { number }
            }
            (Some(Bug::TryLeavesPlace), Verb::Enter { wait: false }, Place::Waiting { .. }, _) => {
                Place::Absent
            }
            (Some(Bug::NumberRepeats), _, Place::Held { .. }, _) => Place::Held { number: FLOOR },
            _ => answer,
        }
    }

    /// Notes who has come, was granted, and has gone.
    fn note(&mut self, name: usize, granted: &[u128], now: &StoreTime, done: &mut Done) {
        let queue = &self.queues[name];
        let mut come: Vec<_> = self
            .sessions
            .iter_mut()
            .filter(|(_, session)| session.name == name && !session.stands)
            .filter(|(claim, _)| queue.place(**claim as u128, now) != Place::Absent)
            .collect();
        // Only one can have, whatever the order of the map.
        if let Some((claim, session)) = come.pop() {
            session.stands = true;
            self.standing[name].push(*claim);
            done.happened.push(What::Joined {
                claim: *claim,
                client: session.client,
                name,
                mode: session.request.mode,
            });
        }
        self.standing[name].retain(|claim| {
            let stands = queue.place(*claim as u128, now) != Place::Absent;
            if !stands {
                done.happened.push(What::Gone {
                    claim: *claim,
                    name,
                });
                if let Some(session) = self.sessions.get_mut(claim) {
                    session.stands = false;
                }
            }
            stands
        });
        for id in granted {
            let Ok(claim) = usize::try_from(*id) else {
                continue;
            };
            let Place::Held { number } = queue.place(*id, now) else {
                continue;
            };
            if let Some(session) = self.sessions.get_mut(&claim) {
                session.number = Some(number);
            }
            done.granted.push(claim);
            done.happened.push(What::Granted {
                claim,
                name,
                number,
            });
        }
    }
}
