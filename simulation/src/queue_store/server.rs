use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::{ClaimRequest, Signals};
use distlock_core::queue::{LockQueue, Outcome, Place, StoreTime};
use distlock_core::{LockState, Result};
use fastrand::Rng;

use super::named::Named;
use super::request::{Party, Reply, Request, Verb};
use super::session::Session;
use crate::bug::Bug;
use crate::event::{ClaimId, What};
use crate::server::{self, FOR_NOTHING, Hint, Server};

type Done = server::Done<Reply>;

/// The store: one [`LockQueue`] a name, and what it remembers of each claim.
#[derive(Debug)]
pub(crate) struct QueueServer {
    bug: Option<Bug>,
    names: Vec<Named>,
    sessions: BTreeMap<ClaimId, Session>,
}

impl QueueServer {
    pub(crate) fn new(names: usize, bug: Option<Bug>) -> Self {
        let began = StoreTime::new("one", 0);
        Self {
            bug,
            names: (0..names).map(|_| Named::new(&began)).collect(),
            sessions: BTreeMap::new(),
        }
    }

    /// From now on changes of the name are told to these signals.
    pub(super) fn listen(&mut self, client: usize, name: usize, signals: Signals) {
        self.names[name].listeners.push((client, signals));
    }

    /// Grants are numbered from here: by a clock, as real stores do, so that numbers grow also
    /// after the record was lost.
    fn floor(&self, now: &StoreTime) -> u64 {
        match self.bug {
            Some(Bug::NumbersRestart | Bug::NumberRepeats) => 1,
            _ => now.micros() + 1,
        }
    }

    fn serve_claim(
        &mut self,
        party: &Arc<Party>,
        sequence: u32,
        verb: Verb,
        now: &StoreTime,
    ) -> (Option<Reply>, Done) {
        let (id, name, bug) = (party.id, party.name, self.bug);
        let entry = self.sessions.entry(id);
        let session = entry.or_insert_with(|| Session::new(party, bug));
        if sequence == session.sequence {
            return (session.reply.clone(), Done::default());
        }
        if sequence < session.sequence && bug != Some(Bug::ReleaseIsNotFinal) {
            return (None, Done::default());
        }
        let request = session.request.clone();
        // First what has expired goes, as with a timer, so that one which goes and comes back is
        // seen to do so.
        let mut done = self.expire_name(name, now);
        let place = self.names[name].place(id, now);
        let outcome = self.act(name, &request, verb, place, now);
        self.names[name].write_and_read();
        let reply = match outcome {
            Ok(Outcome {
                answer, granted, ..
            }) => {
                let refreshes = match verb {
                    Verb::Enter { .. } => place != Place::Absent,
                    Verb::Renew { number } => place == Place::Held { number },
                    Verb::Leave => false,
                };
                if refreshes {
                    done.happened.push(What::Refreshed { claim: id, name });
                }
                if verb == Verb::Leave {
                    let held = matches!(place, Place::Held { .. });
                    done.happened.push(What::Left { claim: id, held });
                }
                self.note(name, &granted, Some(id), now, &mut done);
                Reply::Stands(self.bent(id, verb, answer))
            }
            Err(error) => Reply::Failed(error),
        };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.sequence = sequence;
            session.reply = Some(reply.clone());
        }
        (Some(reply), done)
    }

    fn act(
        &mut self,
        name: usize,
        request: &ClaimRequest,
        verb: Verb,
        place: Place,
        now: &StoreTime,
    ) -> Result<Outcome<Place>> {
        let (id, floor, bug) = (request.id, self.floor(now), self.bug);
        let first = self.names[name].standing.first().copied();
        let queue = self.names[name].queue(request.mode, bug);
        match (verb, bug) {
            (Verb::Enter { .. }, Some(Bug::AttemptDoesNotRefresh)) if place != Place::Absent => {
                // What has expired has gone already, so nothing is granted by this: only looked at.
                queue.clone().renew(id, now, floor)
            }
            (Verb::Enter { .. }, Some(Bug::TryLeavesPlace)) => {
                queue.enter(request, true, now, floor)
            }
            (Verb::Enter { wait: true }, Some(Bug::LastComeFirstServed))
                if place == Place::Absent =>
            {
                self.enter_first(name, request, now)
            }
            (Verb::Enter { wait: false }, Some(Bug::RefusesFree)) => {
                let mut outcome = queue.leave(id, now, floor)?;
                outcome.answer = Place::Absent;
                Ok(outcome)
            }
            (Verb::Enter { wait }, _) => queue.enter(request, wait, now, floor),
            (Verb::Renew { .. }, Some(Bug::RenewalDoesNothing)) => {
                queue.clone().renew(id, now, floor)
            }
            (Verb::Renew { .. }, Some(Bug::RenewalRecreates)) => {
                queue.enter(request, true, now, floor)
            }
            (Verb::Renew { .. }, Some(Bug::RenewalIgnoresOwner)) => {
                queue.renew(first.map_or(id, ClaimId::into), now, floor)
            }
            (Verb::Renew { .. }, Some(Bug::RenewalIsNewGrant)) if place != Place::Absent => {
                let mut granted = queue.leave(id, now, floor)?.granted;
                let mut outcome = queue.enter(request, true, now, floor)?;
                granted.append(&mut outcome.granted);
                outcome.granted = granted;
                Ok(outcome)
            }
            (Verb::Renew { number }, _) if place == (Place::Held { number }) => {
                queue.renew(id, now, floor)
            }
            (Verb::Renew { .. }, _) => {
                let mut outcome = queue.clone().renew(id, now, floor)?;
                outcome.answer = Place::Absent;
                Ok(outcome)
            }
            (Verb::Leave, Some(Bug::ReleasesAnyone)) => {
                queue.leave(first.map_or(id, ClaimId::into), now, floor)
            }
            (Verb::Leave, Some(Bug::WaiterStays)) if matches!(place, Place::Waiting { .. }) => {
                queue.renew(id, now, floor)
            }
            (Verb::Leave, _) => queue.leave(id, now, floor),
        }
    }

    /// Enters before those who wait.
    fn enter_first(
        &mut self,
        name: usize,
        request: &ClaimRequest,
        now: &StoreTime,
    ) -> Result<Outcome<Place>> {
        let floor = self.floor(now);
        let named = &mut self.names[name];
        let mut waiting = named.standing.clone();
        waiting.retain(|claim| {
            matches!(
                named.queue.place((*claim).into(), now),
                Place::Waiting { .. }
            )
        });
        for claim in &waiting {
            named.queue.leave((*claim).into(), now, floor)?;
        }
        let mut outcome = named.queue.enter(request, true, now, floor)?;
        for claim in waiting {
            let Session { request, .. } = &self.sessions[&claim];
            let mut entered = named.queue.enter(request, true, now, floor)?;
            outcome.granted.append(&mut entered.granted);
        }
        Ok(outcome)
    }

    /// The answer as a store with this bug gives it.
    fn bent(&self, id: ClaimId, verb: Verb, answer: Place) -> Place {
        let granted_once = self.sessions.get(&id).and_then(|session| session.number);
        match (self.bug, verb, answer) {
            (Some(Bug::GrantsTwice), Verb::Enter { .. } | Verb::Renew { .. }, _) => {
                granted_once.map_or(answer, |number| Place::Held { number })
            }
            (Some(Bug::TryLeavesPlace), Verb::Enter { wait: false }, Place::Waiting { .. }) => {
                Place::Absent
            }
            (Some(Bug::NeverWakes), _, Place::Waiting { .. }) => Place::Waiting {
                recheck: Duration::MAX,
            },
            (Some(Bug::NumberRepeats), _, Place::Held { .. }) => Place::Held { number: 1 },
            (Some(Bug::ReleaseAlwaysHeld), Verb::Leave, _) => Place::Held { number: 1 },
            (Some(Bug::ReleaseNeverHeld), Verb::Leave, _) => Place::Absent,
            _ => answer,
        }
    }

    fn expire_name(&mut self, name: usize, now: &StoreTime) -> Done {
        let (mut done, floor) = (Done::default(), self.floor(now));
        let mut granted = Vec::new();
        if self.bug == Some(Bug::DeadWaiterKept) {
            granted = self.refresh(name, now, |place| matches!(place, Place::Waiting { .. }));
        }
        let named = &mut self.names[name];
        granted.extend(named.queue.expire(now, floor).unwrap_or_default());
        granted.extend(named.readers.expire(now, floor).unwrap_or_default());
        self.note(name, &granted, None, now, &mut done);
        done
    }

    /// Begins the TTL anew of those who stand in such places. What has expired goes before that,
    /// which may grant others.
    fn refresh(
        &mut self,
        name: usize,
        now: &StoreTime,
        whose: impl Fn(Place) -> bool,
    ) -> Vec<u128> {
        let (floor, bug) = (self.floor(now), self.bug);
        let named = &mut self.names[name];
        let mut granted = Vec::new();
        for claim in named.standing.clone() {
            let Session { request, .. } = &self.sessions[&claim];
            if whose(named.place(claim, now)) {
                let queue = named.queue(request.mode, bug);
                let entered = queue.enter(request, true, now, floor);
                granted.extend(entered.map_or_else(|_| Vec::new(), |outcome| outcome.granted));
            }
        }
        granted
    }

    /// Notes who has come, was granted, and has gone, and whom to tell.
    fn note(
        &mut self,
        name: usize,
        granted: &[u128],
        asked: Option<ClaimId>,
        now: &StoreTime,
        done: &mut Done,
    ) {
        let before = (done.happened.len(), self.names[name].standing.len());
        self.note_coming(name, asked, now, done);
        self.note_going(name, asked, now, done);
        for id in granted {
            self.note_grant(name, (*id).into(), now, done);
        }
        let after = (done.happened.len(), self.names[name].standing.len());
        if before != after {
            self.tell_listeners(name, done);
        }
    }

    fn note_coming(
        &mut self,
        name: usize,
        asked: Option<ClaimId>,
        now: &StoreTime,
        done: &mut Done,
    ) {
        let named = &mut self.names[name];
        let come = asked.filter(|claim| {
            !named.standing.contains(claim) && named.place(*claim, now) != Place::Absent
        });
        if let Some(claim) = come {
            named.standing.push(claim);
            done.happened.push(What::Joined {
                claim,
                name,
                mode: self.sessions[&claim].party.request.mode,
            });
        }
    }

    fn note_going(
        &mut self,
        name: usize,
        asked: Option<ClaimId>,
        now: &StoreTime,
        done: &mut Done,
    ) {
        let named = &mut self.names[name];
        let standing = std::mem::take(&mut named.standing);
        let (stands, gone): (Vec<_>, Vec<_>) = standing
            .into_iter()
            .partition(|claim| named.place(*claim, now) != Place::Absent);
        named.standing = stands;
        for claim in gone {
            done.happened.push(What::Gone { claim, name });
            let Some(session) = self.sessions.get_mut(&claim) else {
                continue;
            };
            let number = match self.bug {
                Some(Bug::GrantsTwice) => session.number,
                _ => session.number.take(),
            };
            // One that asked to go need not be told.
            let told = number.filter(|_| asked != Some(claim));
            done.hints.extend(told.map(|number| session.gone(number)));
        }
    }

    fn note_grant(&mut self, name: usize, claim: ClaimId, now: &StoreTime, done: &mut Done) {
        let Place::Held { number } = self.names[name].place(claim, now) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&claim) else {
            return;
        };
        session.number = Some(number);
        done.happened.push(What::Granted {
            claim,
            name,
            number,
        });
        if self.bug != Some(Bug::NeverWakes) {
            done.hints.push(session.look());
        }
        if self.bug == Some(Bug::FalselyGone) {
            done.hints.push(session.gone(number));
        }
        if self.bug == Some(Bug::GrantsTwice)
            && number.is_multiple_of(4)
            && let Ok(outcome) = self.names[name].queue.leave(claim.into(), now, number)
        {
            self.note(name, &outcome.granted, None, now, done);
        }
    }

    fn tell_listeners(&mut self, name: usize, done: &mut Done) {
        let listeners = &mut self.names[name].listeners;
        listeners.retain(|(_, signals)| !signals.is_closed());
        done.hints.extend(listeners.iter().map(|(client, signals)| {
            let signals = signals.clone();
            Hint {
                client: *client,
                label: format!("{name} changed"),
                gone: None,
                arrive: Arc::new(move || signals.look()),
            }
        }));
    }
}

impl Server for QueueServer {
    type Request = Request;
    type Reply = Reply;

    fn serve(&mut self, ticket: u64, request: &Request, now: &StoreTime) -> Done {
        let (reply, mut done) = match request {
            Request::Claim {
                party,
                sequence,
                verb,
            } => self.serve_claim(party, *sequence, *verb, now),
            Request::Inspect { name, .. } => {
                let done = self.expire_name(*name, now);
                let named = &self.names[*name];
                let LockState {
                    mut holders,
                    waiters,
                    ..
                } = named.queue.state(now);
                holders.extend(named.readers.state(now).holders);
                (Some(Reply::State(LockState::new(holders, waiters))), done)
            }
        };
        match reply {
            Some(reply) => done.replies.push((ticket, reply)),
            None => done.happened.push(What::Ignored {
                request: request.to_string().into(),
            }),
        }
        done
    }

    fn expire(&mut self, now: &StoreTime) -> Done {
        let mut all = Done::default();
        for name in 0..self.names.len() {
            all.append(self.expire_name(name, now));
        }
        all
    }

    fn forget(&mut self, name: Option<usize>, now: &StoreTime) -> Done {
        let mut done = Done::default();
        let names = name.map_or(0..self.names.len(), |name| name..name + 1);
        for name in names.clone() {
            done.happened.push(What::Forgot { name });
            let named = &mut self.names[name];
            (named.queue, named.readers) = (LockQueue::new(now), LockQueue::new(now));
            self.note(name, &[], None, now, &mut done);
        }
        self.sessions
            .retain(|_, session| !names.contains(&session.party.name));
        done
    }

    fn restart_ttls(&mut self, now: &StoreTime) -> Done {
        let mut done = self.expire(now);
        for name in 0..self.names.len() {
            if self.bug == Some(Bug::RestartExpires) {
                let Named {
                    queue, standing, ..
                } = &mut self.names[name];
                for claim in standing {
                    let _ = queue.leave((*claim).into(), now, now.micros());
                }
                self.note(name, &[], None, now, &mut done);
            }
            let granted = self.refresh(name, now, |_| true);
            self.note(name, &granted, None, now, &mut done);
            let standing = self.names[name].standing.iter();
            let refreshed = standing.map(|claim| What::Refreshed {
                claim: *claim,
                name,
            });
            done.happened.extend(refreshed);
        }
        done
    }

    fn backing(&self, name: usize, number: u64, now: &StoreTime) -> Duration {
        let named = &self.names[name];
        [&named.queue, &named.readers]
            .into_iter()
            .flat_map(|queue| queue.state(now).holders)
            .find(|holder| holder.token.is_some_and(|token| token.number() == number))
            .and_then(|holder| holder.expires_in)
            .unwrap_or_default()
    }

    fn entries(&self, name: usize) -> usize {
        self.names[name].standing.len()
    }

    fn false_hint(&self, rng: &mut Rng) -> Option<Hint> {
        let name = rng.choice(&self.names)?;
        let claim = rng.choice(&name.standing)?;
        let mut hint = self.sessions[claim].look();
        hint.label = format!("{} {FOR_NOTHING}", hint.label);
        Some(hint)
    }
}
