use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::{ClaimRequest, Signals};
use distlock_core::queue::{Place, StoreTime};
use distlock_miniature as miniature;
use fastrand::Rng;

use super::bent::Bent;
use super::request::{Reply, Request};
use crate::bug::Bug;
use crate::event::{ClaimId, What};
use crate::server::{self, FOR_NOTHING, Hint, Server};

type Done = server::Done<Reply>;

/// The miniature server, and what is known of it: what it does is told by what has changed.
#[derive(Debug)]
pub(crate) struct SessionServer {
    server: miniature::Server,
    bent: Bent,
    sessions: BTreeSet<u64>,
    standing: BTreeMap<u128, Standing>,
}

/// An entry of the server.
#[derive(Debug)]
struct Standing {
    session: u64,
    name: usize,
    /// The number of its grant.
    number: Option<u64>,
    signals: Signals,
}

/// Whose reply nobody awaits.
const NOBODY: u64 = 0;

impl SessionServer {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self {
            // By a clock, as real stores do.
            server: miniature::Server::new(|now| now.micros() + 1),
            bent: Bent::new(bug),
            sessions: BTreeSet::new(),
            standing: BTreeMap::new(),
        }
    }

    fn ask(
        &mut self,
        ticket: u64,
        client: usize,
        asks: miniature::Request,
        now: &StoreTime,
    ) -> Done {
        let mut done = Done::default();
        self.note_asked(&asks, &mut done);
        let served = self.server.serve(ticket, asks.clone(), now);
        for (of, reply) in &served.replies {
            if let (true, Ok(miniature::Reply::Opened { session })) = (*of == ticket, reply) {
                let session = *session;
                self.sessions.insert(session);
                done.happened.push(What::Opened { session, client });
            }
        }
        let asked_to_end: &[u64] = match &asks {
            miniature::Request::End { session } => &[*session],
            _ => &[],
        };
        if let miniature::Request::Enter { session, claim, .. } = &asks
            && self.server.place(claim.id, now) != Place::Absent
        {
            self.note_standing(*session, claim, &mut done);
        }
        self.note(served, asked_to_end, now, &mut done);
        done
    }

    /// Notes what is asked of entries and sessions that stand.
    fn note_asked(&self, asks: &miniature::Request, done: &mut Done) {
        let left = |entry: u128| {
            let standing = self.standing.get(&entry);
            What::Left {
                claim: entry.into(),
                held: standing.is_some_and(|standing| standing.number.is_some()),
            }
        };
        match asks {
            miniature::Request::Beat { session } if self.sessions.contains(session) => {
                let session = *session;
                done.happened.push(What::KeptAlive { session });
            }
            miniature::Request::Leave { entries, .. } => {
                done.happened.extend(entries.iter().copied().map(left));
            }
            miniature::Request::End { session } => {
                let standing = self.standing.iter();
                let under = standing.filter(|(_, standing)| standing.session == *session);
                done.happened.extend(under.map(|(entry, _)| left(*entry)));
            }
            _ => {}
        }
    }

    fn note_standing(&mut self, session: u64, request: &ClaimRequest, done: &mut Done) {
        let name = request.name.as_str().parse().unwrap_or_default();
        self.standing.entry(request.id).or_insert_with(|| {
            done.happened.push(What::Joined {
                claim: request.id.into(),
                name,
                mode: request.mode,
            });
            Standing {
                session,
                name,
                number: None,
                signals: request.signals.clone(),
            }
        });
    }

    /// Notes who has gone and who was granted, and whom to tell.
    fn note(
        &mut self,
        served: miniature::Served,
        asked_to_end: &[u64],
        now: &StoreTime,
        done: &mut Done,
    ) {
        let Self {
            server,
            sessions,
            standing,
            ..
        } = self;
        let alive: BTreeSet<_> = server.sessions().map(|(session, _)| session).collect();
        let ended = sessions.difference(&alive).map(|session| What::Ended {
            session: *session,
            asked: asked_to_end.contains(session),
        });
        done.happened.extend(ended);
        *sessions = alive;
        let mut granted = Vec::new();
        standing.retain(|entry, standing| {
            let (claim, name) = (ClaimId::from(*entry), standing.name);
            match server.place(*entry, now) {
                Place::Held { number } => {
                    if standing.number.replace(number).is_none() {
                        granted.push((number, claim, name));
                    }
                    true
                }
                Place::Absent => {
                    done.happened.push(What::Gone { claim, name });
                    false
                }
                _ => true,
            }
        });
        granted.sort_unstable_by_key(|(number, ..)| *number);
        let granted = granted
            .into_iter()
            .map(|(number, claim, name)| What::Granted {
                claim,
                name,
                number,
            });
        done.happened.extend(granted);
        let told = served.told.into_iter();
        done.hints
            .extend(told.map(|(entry, signals)| look(entry, signals)));
        let replies = served.replies.into_iter();
        done.replies
            .extend(replies.map(|(ticket, reply)| (ticket, Reply(reply))));
    }
}

impl Server for SessionServer {
    type Request = Request;
    type Reply = Reply;

    fn serve(&mut self, ticket: u64, request: &Request, now: &StoreTime) -> Done {
        let mut done = self.expire(now);
        let asks = self.bent.request(request.asks.clone());
        done.append(self.ask(ticket, request.client, asks, now));
        self.bent.replies(ticket, &request.asks, &mut done);
        done
    }

    fn expire(&mut self, now: &StoreTime) -> Done {
        let mut done = Done::default();
        let served = self.server.expire(now);
        self.note(served, &[], now, &mut done);
        done
    }

    /// Sessions, if it is all that is lost; the entries of one name.
    fn forget(&mut self, name: Option<usize>, now: &StoreTime) -> Done {
        let mut done = Done::default();
        let names: BTreeSet<_> = self
            .standing
            .values()
            .map(|standing| standing.name)
            .collect();
        let forgotten = names
            .into_iter()
            .filter(|of| name.is_none_or(|name| name == *of));
        done.happened
            .extend(forgotten.map(|name| What::Forgot { name }));
        let under = |session: u64| -> Vec<u128> {
            let standing = self.standing.iter().filter(|(_, standing)| {
                standing.session == session && name.is_none_or(|name| name == standing.name)
            });
            standing.map(|(entry, _)| *entry).collect()
        };
        let asks = self.sessions.iter().map(|session| {
            let session = *session;
            match name {
                None => miniature::Request::End { session },
                Some(_) => miniature::Request::Leave {
                    session,
                    entries: under(session),
                },
            }
        });
        let mut served = miniature::Served::default();
        for asks in asks.collect::<Vec<_>>() {
            served
                .replies
                .extend(self.server.serve(NOBODY, asks, now).replies);
        }
        // All at once: nobody is granted what the others have not been made to leave yet.
        let asked_to_end: Vec<_> = self.sessions.iter().copied().collect();
        self.note(served, &asked_to_end, now, &mut done);
        done
    }

    fn restart_ttls(&mut self, now: &StoreTime) -> Done {
        let mut done = self.expire(now);
        self.server.restart_ttls(now);
        let sessions = self.sessions.iter();
        let kept = sessions.map(|session| What::KeptAlive { session: *session });
        done.happened.extend(kept);
        done
    }

    fn backing(&self, name: usize, number: u64, now: &StoreTime) -> Duration {
        let held = self
            .standing
            .values()
            .find(|standing| standing.name == name && standing.number == Some(number));
        let mut sessions = self.server.sessions();
        let expires = held.and_then(|held| sessions.find(|(number, _)| *number == held.session));
        let left = expires.map_or(0, |(_, expires)| expires.saturating_sub(now.micros()));
        Duration::from_micros(left)
    }

    fn entries(&self, name: usize) -> usize {
        let standing = self.standing.values();
        standing.filter(|standing| standing.name == name).count()
    }

    fn false_hint(&self, rng: &mut Rng) -> Option<Hint> {
        let nth = rng.usize(0..self.standing.len().max(1));
        let (entry, standing) = self.standing.iter().nth(nth)?;
        let mut hint = look(*entry, standing.signals.clone());
        hint.label = format!("{} {FOR_NOTHING}", hint.label);
        Some(hint)
    }
}

/// That it is worth asking again.
fn look(entry: u128, signals: Signals) -> Hint {
    let claim = ClaimId::from(entry);
    Hint {
        client: claim.client,
        label: format!("{claim} look"),
        gone: None,
        arrive: Arc::new(move || signals.look()),
    }
}
