use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::{LockQueue, Outcome, Place, StoreTime};
use distlock_core::{Capabilities, Entry, ErrorKind, FencingToken, Mode, Name, Ttl};

use crate::history::{CONTENDERS, FIRST_FLOOR, Step};

const DAY: u64 = 24 * 60 * 60 * 1_000_000;

/// What must be so, kept in the plainest way: who was last heard of when, in the order of arrival.
pub(crate) struct World {
    claims: Vec<ClaimRequest>,
    /// Those who stand in the record, the dead among them until a verb drops them.
    line: Vec<Stander>,
    boot: u32,
    /// The boot in which the record was written.
    written_in: u32,
    now: u64,
    floor: u64,
    /// The greatest number that the record knows of, and the greatest of all.
    last: u64,
    greatest: u64,
    keep_until: u64,
    record: LockQueue,
}

#[derive(Clone, Debug)]
struct Stander {
    who: usize,
    joined: u64,
    expires: u64,
    number: Option<u64>,
}

impl World {
    pub(crate) fn new(modes: &[Mode]) -> Self {
        let any = Capabilities::new("test", Duration::from_millis(1)..=Duration::from_secs(60));
        let name = Name::new("x").unwrap();
        let claims = modes.iter().enumerate().map(|(who, mode)| {
            let ttl = Ttl::new(Duration::from_secs(2 + who as u64), &any).unwrap();
            ClaimRequest::new(name.clone(), *mode, ttl)
        });
        let record = LockQueue::new(&StoreTime::new("boot 0", 0));
        Self {
            claims: claims.collect(),
            line: Vec::new(),
            boot: 0,
            written_in: 0,
            now: 0,
            floor: FIRST_FLOOR,
            last: 0,
            greatest: 0,
            keep_until: DAY,
            record,
        }
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match *step {
            Step::Enter { who, wait } => self.enter(who, wait),
            Step::Renew { who } => self.renew(who),
            Step::Leave { who } => self.leave(who),
            Step::Expire => {
                let granted = self.record.expire(&self.time(), self.floor).unwrap();
                self.drop_dead();
                self.take_grants(&granted);
            }
            Step::Pass { micros } => self.now += micros,
            Step::PassToExpiry { but } => {
                let first = self.line.iter().map(|stander| stander.expires).min();
                self.now = first.map_or(self.now, |first| self.now.max(first - but));
            }
            Step::SetFloor { floor } => self.step_floor(floor),
            Step::Reboot => {
                self.boot += 1;
                self.now = 0;
            }
            Step::LoseRecord => {
                self.record = LockQueue::new(&self.time());
                self.line.clear();
                (self.written_in, self.last) = (self.boot, 0);
                self.keep_until = self.now + DAY;
                self.step_floor(self.floor);
            }
            Step::WriteAndRead => {
                let read = LockQueue::from_json(self.record.to_json());
                assert_eq!(read.unwrap(), self.record);
            }
        }
    }

    fn enter(&mut self, who: usize, wait: bool) {
        let before = self.line_now();
        let conflict = before.iter().find_map(|stander| {
            let other = self.claims[stander.who].mode;
            (!other.mixes_with(self.claims[who].mode)).then_some(other)
        });
        let entered = self
            .record
            .enter(&self.claims[who], wait, &self.time(), self.floor);
        self.drop_dead();
        let outcome = match (entered, conflict) {
            (Ok(outcome), None) => outcome,
            (Err(error), Some(other)) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                let text = error.to_string();
                for mode in [self.claims[who].mode, other] {
                    assert!(text.contains(&mode.to_string()), "P1: {mode} in {text}");
                }
                // What it dropped and granted before it refused stays so.
                let granted: Vec<_> = self.due().map(|who| self.claims[who].id).collect();
                return self.take_grants(&granted);
            }
            (entered, conflict) => {
                panic!("P1: {conflict:?} is in the way of {who}, and yet {entered:?}")
            }
        };
        let expires = self.now + self.ttl(who);
        match self.line.iter_mut().find(|stander| stander.who == who) {
            Some(stander) => stander.expires = expires,
            None => self.line.push(Stander {
                who,
                joined: self.now,
                expires,
                number: None,
            }),
        }
        let at = self.line.iter().position(|stander| stander.who == who);
        let at = at.expect("it has just joined");
        if !wait && self.line[at].number.is_none() && !self.may_hold(at) {
            self.line.remove(at);
            self.take_grants(&outcome.granted);
        } else {
            self.take_grants(&outcome.granted);
            self.keep_until = self.keep_until.max(expires + DAY);
        }
        assert_eq!(outcome.answer, self.place(who), "P7, P8");
    }

    fn renew(&mut self, who: usize) {
        let id = self.claims[who].id;
        let outcome = self.record.renew(id, &self.time(), self.floor).unwrap();
        self.drop_dead();
        self.take_grants(&outcome.granted);
        let expires = self.now + self.ttl(who);
        let mut holders = self
            .line
            .iter_mut()
            .filter(|holder| holder.number.is_some());
        if let Some(holder) = holders.find(|holder| holder.who == who) {
            holder.expires = expires;
            self.keep_until = self.keep_until.max(expires + DAY);
        }
        assert_eq!(outcome.answer, self.place(who), "P6: it revives nothing");
    }

    fn leave(&mut self, who: usize) {
        let id = self.claims[who].id;
        let left = self.record.leave(id, &self.time(), self.floor);
        let Outcome {
            answer, granted, ..
        } = left.unwrap();
        self.drop_dead();
        assert_eq!(answer, self.place(who), "P10: where it stood until now");
        self.line.retain(|stander| stander.who != who);
        self.take_grants(&granted);
    }

    /// Takes over the numbers of those whom the verb granted, checking that those were all, in
    /// order, and that each number is the one due.
    fn take_grants(&mut self, granted: &[u128]) {
        let due: Vec<_> = self.due().collect();
        let due_ids: Vec<_> = due.iter().map(|who| self.claims[*who].id).collect();
        assert_eq!(
            granted, due_ids,
            "P1, P7: granted are those whose turn it is, in the order of arrival"
        );
        for who in due {
            let number = self.floor.max(self.last + 1);
            assert!(
                number > self.greatest,
                "P2: {number} after {}",
                self.greatest
            );
            (self.last, self.greatest) = (number, number);
            let mut line = self.line.iter_mut();
            line.find(|stander| stander.who == who).unwrap().number = Some(number);
        }
    }

    /// Those who do not hold and may.
    fn due(&self) -> impl Iterator<Item = usize> {
        (0..self.line.len())
            .filter(|at| self.line[*at].number.is_none() && self.may_hold(*at))
            .map(|at| self.line[at].who)
    }

    /// Whether this one may hold beside all that stand before it.
    fn may_hold(&self, at: usize) -> bool {
        let mode = |stander: &Stander| self.claims[stander.who].mode;
        let before = &self.line[..at];
        match mode(&self.line[at]) {
            Mode::Exclusive => at == 0,
            Mode::Shared => before.iter().all(|stander| mode(stander) == Mode::Shared),
            Mode::Permit { limit } => at < limit as usize,
            _ => unreachable!("no other mode is drawn"),
        }
    }

    /// Where the claim stands in the record.
    fn place(&self, who: usize) -> Place {
        let at = self.line.iter().position(|stander| stander.who == who);
        match at.map(|at| (self.line[at].number, &self.line[..at])) {
            None => Place::Absent,
            Some((Some(number), _)) => Place::Held { number },
            Some((None, before)) => {
                let first = before.iter().map(|stander| stander.expires).min();
                let recheck = first.map_or(0, |first| first.saturating_sub(self.now));
                Place::Waiting {
                    recheck: Duration::from_micros(recheck),
                }
            }
        }
    }

    /// Those who stand in the record and have not expired.
    fn line_now(&self) -> Vec<Stander> {
        let is_alive =
            |stander: &&Stander| self.written_in == self.boot && self.now < stander.expires;
        self.line.iter().filter(is_alive).cloned().collect()
    }

    /// As every verb does first.
    fn drop_dead(&mut self) {
        self.line = self.line_now();
        if self.written_in != self.boot {
            self.written_in = self.boot;
            self.keep_until = self.now + DAY;
        }
    }

    /// Numbers survive the loss of a record if the wall clock is not behind: that much is assumed.
    fn step_floor(&mut self, floor: u64) {
        let forgotten = self.last < self.greatest;
        self.floor = if forgotten {
            floor.max(self.greatest + 1)
        } else {
            floor
        };
    }

    fn time(&self) -> StoreTime {
        StoreTime::new(format!("boot {}", self.boot), self.now)
    }

    fn ttl(&self, who: usize) -> u64 {
        self.claims[who].ttl.get().as_micros() as u64
    }

    /// The record shows the line, no more and no less.
    pub(crate) fn compare(&self) {
        let (time, line) = (self.time(), self.line_now());
        let state = self.record.state(&time);
        let (holders, waiters): (Vec<_>, Vec<_>) =
            line.iter().partition(|stander| stander.number.is_some());
        self.compare_entries(&state.holders, &holders);
        self.compare_entries(&state.waiters, &waiters);
        if self.written_in == self.boot {
            for who in 0..CONTENDERS {
                let place = self.record.place(self.claims[who].id, &time);
                assert_eq!(place, self.place(who), "P7");
            }
        }
        assert_eq!(self.record.last(), self.last, "P2");
        assert_eq!(self.record.keep_until(), self.keep_until);
        assert_eq!(
            self.record.has_expired(&time),
            line.len() < self.line.len(),
            "P3: whether the next verb drops one"
        );
        assert_eq!(
            self.record.is_forgettable(&time),
            self.written_in != self.boot || self.keep_until <= self.now
        );
        let most = match holders.first().map(|holder| self.claims[holder.who].mode) {
            Some(Mode::Exclusive) => 1,
            Some(Mode::Permit { limit }) => limit as usize,
            _ => CONTENDERS,
        };
        assert!(holders.len() <= most, "P1");
    }

    fn compare_entries(&self, found: &[Entry], expected: &[&Stander]) {
        assert_eq!(found.len(), expected.len(), "P1, P3, P7: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            let claim = &self.claims[expected.who];
            let token = expected.number.map(FencingToken::from_number);
            assert_eq!(found.owner.as_deref(), Some(&*claim.owner), "P7: the order");
            assert_eq!(found.mode, claim.mode);
            assert_eq!(found.token, token.transpose().unwrap(), "P2");
            for (found, expected) in [
                (found.age, self.now - expected.joined),
                (found.expires_in, expected.expires - self.now),
            ] {
                assert_eq!(found, Some(Duration::from_micros(expected)), "P3");
            }
        }
    }
}
