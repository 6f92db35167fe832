use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use distlock_core::backend::{ClaimRequest, Signals};
use distlock_core::queue::{LockQueue, Place, StoreTime};
use distlock_core::{Capabilities, LockState, Name, Result, Ttl};

use crate::request::{Reply, Request};

/// A lock server whose clients have sessions: one [`LockQueue`] a name, in which entries stand for
/// as long as their session lives.
///
/// A state machine: no I/O, no clock. Each verb is told the time.
#[derive(Debug)]
pub struct Server {
    floor: fn(&StoreTime) -> u64,
    sessions: BTreeMap<u64, Session>,
    opened: u64,
    queues: HashMap<Name, LockQueue>,
    entries: BTreeMap<u128, Entry>,
    /// The requests to be answered when this entry holds its name or is gone.
    parked: Vec<(u64, u128)>,
}

#[derive(Debug)]
struct Session {
    /// Slack included.
    ttl: u64,
    expires: u64,
}

#[derive(Debug)]
struct Entry {
    session: u64,
    name: Name,
    signals: Signals,
}

/// What a verb came to.
#[derive(Debug, Default)]
pub struct Served {
    /// The answers, each to the request of this ticket; also to requests that have waited.
    pub replies: Vec<(u64, Result<Reply>)>,
    /// The entries whose turn has come, and where their clients hear of it.
    pub told: Vec<(u128, Signals)>,
}

impl Server {
    /// How much longer than its TTL a session may live.
    pub const SLACK: Duration = Duration::from_millis(20);

    /// A server without sessions. `floor` is the least number of the next grant.
    pub fn new(floor: fn(&StoreTime) -> u64) -> Self {
        Self {
            floor,
            sessions: BTreeMap::new(),
            opened: 0,
            queues: HashMap::new(),
            entries: BTreeMap::new(),
            parked: Vec::new(),
        }
    }

    /// Does what is asked. The answer bears the request's ticket, and may come with a later verb.
    pub fn serve(&mut self, ticket: u64, request: Request, now: &StoreTime) -> Served {
        let mut served = self.expire(now);
        let reply = match request {
            Request::Open { ttl } => Ok(self.open(ttl, now)),
            Request::Beat { session } => Ok(self.beat(session, now)),
            Request::Enter {
                session,
                claim,
                wait,
            } => self.enter(session, claim, wait, now, &mut served),
            Request::Wait { entry } => {
                self.parked.retain(|(_, parked)| *parked != entry);
                self.parked.push((ticket, entry));
                self.answer_parked(now, &mut served);
                return served;
            }
            Request::Leave { session, entries } => self.leave(session, &entries, now, &mut served),
            Request::End { session } => self.end(session, now, &mut served).map(|()| Reply::Done),
            Request::Inspect { name } => Ok(Reply::State(self.state(&name, now))),
        };
        served.replies.push((ticket, reply));
        self.answer_parked(now, &mut served);
        served
    }

    /// Ends the sessions that have not been heard of for their TTL.
    pub fn expire(&mut self, now: &StoreTime) -> Served {
        let mut served = Served::default();
        let is_over = |session: &Session| session.expires <= now.micros();
        let over: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| is_over(session))
            .map(|(number, _)| *number)
            .collect();
        for session in over {
            // Numbers that are used up are told to whoever asks.
            drop(self.end(session, now, &mut served));
        }
        self.answer_parked(now, &mut served);
        served
    }

    /// Counts the TTL of every session anew, as a new leader of a cluster does.
    pub fn restart_ttls(&mut self, now: &StoreTime) {
        for session in self.sessions.values_mut() {
            session.expires = now.micros() + session.ttl;
        }
    }

    /// When the next session ends by itself, in microseconds.
    pub fn next_expiry(&self) -> Option<u64> {
        self.sessions().map(|(_, expires)| expires).min()
    }

    /// The sessions, and when each ends by itself, in microseconds.
    pub fn sessions(&self) -> impl Iterator<Item = (u64, u64)> {
        self.sessions
            .iter()
            .map(|(number, session)| (*number, session.expires))
    }

    /// Where the entry stands.
    pub fn place(&self, entry: u128, now: &StoreTime) -> Place {
        self.entries.get(&entry).map_or(Place::Absent, |standing| {
            self.queues[&standing.name].place(entry, now)
        })
    }

    fn open(&mut self, ttl: Duration, now: &StoreTime) -> Reply {
        let ttl = micros(ttl + Self::SLACK);
        let expires = now.micros() + ttl;
        self.opened += 1;
        self.sessions.insert(self.opened, Session { ttl, expires });
        Reply::Opened {
            session: self.opened,
        }
    }

    fn beat(&mut self, number: u64, now: &StoreTime) -> Reply {
        let Some(session) = self.sessions.get_mut(&number) else {
            return Reply::NoSession;
        };
        session.expires = now.micros() + session.ttl;
        Reply::Alive {
            entries: self.entries_of(number),
        }
    }

    fn enter(
        &mut self,
        session: u64,
        mut claim: ClaimRequest,
        wait: bool,
        now: &StoreTime,
        served: &mut Served,
    ) -> Result<Reply> {
        if !self.sessions.contains_key(&session) {
            return Ok(Reply::NoSession);
        }
        claim.ttl = while_session_lives();
        let queue = self
            .queues
            .entry(claim.name.clone())
            .or_insert_with(|| LockQueue::new(now));
        let entered = queue.enter(&claim, wait, now, (self.floor)(now))?;
        if entered.answer == Place::Absent {
            self.entries.remove(&claim.id);
        } else {
            self.entries.insert(
                claim.id,
                Entry {
                    session,
                    name: claim.name.clone(),
                    signals: claim.signals.clone(),
                },
            );
        }
        self.tell(&entered.granted, served);
        Ok(Reply::Place(self.dated(
            entered.answer,
            session,
            &claim.name,
            now,
        )))
    }

    fn leave(
        &mut self,
        session: u64,
        entries: &[u128],
        now: &StoreTime,
        served: &mut Served,
    ) -> Result<Reply> {
        let mut stood = Place::Absent;
        for entry in entries {
            if self
                .entries
                .get(entry)
                .is_some_and(|of| of.session == session)
            {
                stood = self.remove(*entry, now, served)?;
            }
        }
        Ok(Reply::Place(stood))
    }

    fn end(&mut self, session: u64, now: &StoreTime, served: &mut Served) -> Result<()> {
        self.sessions.remove(&session);
        for entry in self.entries_of(session) {
            self.remove(entry, now, served)?;
        }
        Ok(())
    }

    /// Removes an entry, and says where it stood.
    fn remove(&mut self, entry: u128, now: &StoreTime, served: &mut Served) -> Result<Place> {
        let removed = self.entries.remove(&entry);
        let queue = removed.and_then(|removed| self.queues.get_mut(&removed.name));
        let Some(queue) = queue else {
            return Ok(Place::Absent);
        };
        let left = queue.leave(entry, now, (self.floor)(now))?;
        self.tell(&left.granted, served);
        Ok(left.answer)
    }

    fn tell(&self, granted: &[u128], served: &mut Served) {
        served.told.extend(granted.iter().filter_map(|number| {
            let entry = self.entries.get(number)?;
            Some((*number, entry.signals.clone()))
        }));
    }

    /// Answers those who wait for what has come.
    fn answer_parked(&mut self, now: &StoreTime, served: &mut Served) {
        for (ticket, entry) in std::mem::take(&mut self.parked) {
            match self.place(entry, now) {
                Place::Waiting { .. } => self.parked.push((ticket, entry)),
                place => served.replies.push((ticket, Ok(Reply::Place(place)))),
            }
        }
    }

    /// The place, with the time at which the first of the other sessions in this line would end.
    fn dated(&self, place: Place, session: u64, name: &Name, now: &StoreTime) -> Place {
        let Place::Waiting { .. } = place else {
            return place;
        };
        let others = self
            .entries
            .values()
            .filter(|entry| entry.session != session && entry.name == *name);
        let sessions = others.filter_map(|entry| self.sessions.get(&entry.session));
        let first = sessions.map(|session| session.expires).min();
        let recheck = first.map_or(u64::MAX, |expires| expires.saturating_sub(now.micros()));
        Place::Waiting {
            recheck: Duration::from_micros(recheck),
        }
    }

    fn state(&self, name: &Name, now: &StoreTime) -> LockState {
        let queue = self.queues.get(name);
        let mut state = queue.map(|queue| queue.state(now)).unwrap_or_default();
        // It is the session that expires.
        let entries = state.holders.iter_mut().chain(&mut state.waiters);
        entries.for_each(|entry| entry.expires_in = None);
        state
    }

    fn entries_of(&self, session: u64) -> Vec<u128> {
        let entries = self.entries.iter();
        entries
            .filter(|(_, entry)| entry.session == session)
            .map(|(number, _)| *number)
            .collect()
    }
}

/// A TTL that no session reaches: the entry is removed with its session.
fn while_session_lives() -> Ttl {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
    Ttl::new(CENTURY, &Capabilities::new("queue", CENTURY..=CENTURY)).expect("it is in its range")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2)
}
