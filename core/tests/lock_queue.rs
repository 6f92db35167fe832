//! `LockQueue` against the promises, over random histories.

use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::{LockQueue, Place, StoreTime};
use distlock_core::{Capabilities, ErrorKind, Mode, Name, Ttl};
use proptest::prelude::*;

const CONTENDERS: usize = 6;
const SECOND: u64 = 1_000_000;
/// Far below any wall clock, so that a floor that leaked into expiry, or expiry into numbers, would
/// show.
const FIRST_FLOOR: u64 = 1 << 40;

#[derive(Clone, Debug)]
enum Step {
    Enter {
        who: usize,
        wait: bool,
    },
    Renew {
        who: usize,
    },
    Leave {
        who: usize,
    },
    Expire,
    Pass {
        micros: u64,
    },
    /// The wall clock is stepped, and so the floor of numbers; expiry must not notice.
    SetFloor {
        floor: u64,
    },
    Reboot,
    LoseRecord,
    WriteAndRead,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..CONTENDERS;
    prop_oneof![
        8 => (who.clone(), any::<bool>()).prop_map(|(who, wait)| Step::Enter { who, wait }),
        4 => who.clone().prop_map(|who| Step::Renew { who }),
        4 => who.prop_map(|who| Step::Leave { who }),
        1 => Just(Step::Expire),
        6 => (0..4 * SECOND).prop_map(|micros| Step::Pass { micros }),
        1 => (FIRST_FLOOR..2 * FIRST_FLOOR).prop_map(|floor| Step::SetFloor { floor }),
        1 => Just(Step::Reboot),
        1 => Just(Step::LoseRecord),
        1 => Just(Step::WriteAndRead),
    ]
}

/// What contenders ask for. Drawn once a history: a claim never changes its mind.
fn modes() -> impl Strategy<Value = Vec<Mode>> {
    let locks = prop_oneof![Just(Mode::Exclusive), Just(Mode::Shared)];
    prop_oneof![
        4 => proptest::collection::vec(locks, CONTENDERS),
        1 => (1..4_u32).prop_map(|limit| vec![Mode::Permit { limit }; CONTENDERS]),
        1 => proptest::collection::vec(
            prop_oneof![Just(Mode::Exclusive), Just(Mode::Permit { limit: 2 }), Just(Mode::Permit { limit: 3 })],
            CONTENDERS
        ),
    ]
}

/// What must be so, kept in the plainest way: who was last heard from when, in the order of
/// arrival.
struct World {
    claims: Vec<ClaimRequest>,
    line: Vec<Stander>,
    boot: u32,
    now: u64,
    floor: u64,
    greatest: u64,
    record: LockQueue,
}

#[derive(Clone, Debug)]
struct Stander {
    who: usize,
    heard: u64,
    number: Option<u64>,
}

impl World {
    fn new(modes: &[Mode]) -> Self {
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
            now: 0,
            floor: FIRST_FLOOR,
            greatest: 0,
            record,
        }
    }

    fn time(&self) -> StoreTime {
        StoreTime::new(format!("boot {}", self.boot), self.now)
    }

    fn ttl(&self, who: usize) -> u64 {
        self.claims[who].ttl.get().as_micros() as u64
    }

    fn drop_dead(&mut self) {
        let now = self.now;
        let ttls: Vec<_> = (0..CONTENDERS).map(|who| self.ttl(who)).collect();
        self.line
            .retain(|stander| now < stander.heard + ttls[stander.who]);
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

    /// Takes over the numbers of those whom the verb granted, checking that those were all, in
    /// order, and that each number is greater than any before.
    fn take_grants(&mut self, granted: &[u128]) {
        let due: Vec<_> = (0..self.line.len())
            .filter(|at| self.line[*at].number.is_none() && self.may_hold(*at))
            .collect();
        let due_ids: Vec<_> = due
            .iter()
            .map(|at| self.claims[self.line[*at].who].id)
            .collect();
        assert_eq!(
            granted, due_ids,
            "P1, P7: granted are those whose turn it is, in the order of arrival"
        );
        for at in due {
            let who = self.line[at].who;
            let Place::Held { number } = self.record.place(self.claims[who].id, &self.time())
            else {
                panic!("granted, but not held");
            };
            assert!(
                number > self.greatest,
                "P2: {number} after {}",
                self.greatest
            );
            assert!(number >= self.floor, "P2: {number} below the floor");
            self.greatest = number;
            self.line[at].number = Some(number);
        }
    }

    fn run(&mut self, step: &Step) {
        let time = self.time();
        match *step {
            Step::Enter { who, wait } => self.enter(who, wait),
            Step::Renew { who } => {
                let outcome = self
                    .record
                    .renew(self.claims[who].id, &time, self.floor)
                    .unwrap();
                self.drop_dead();
                self.take_grants(&outcome.granted);
                let (now, at) = (
                    self.now,
                    self.line.iter().position(|stander| stander.who == who),
                );
                match at.map(|at| &mut self.line[at]) {
                    Some(holder) if holder.number.is_some() => {
                        holder.heard = now;
                        assert_eq!(
                            outcome.answer,
                            Place::Held {
                                number: holder.number.unwrap()
                            }
                        );
                    }
                    Some(_) => assert!(matches!(outcome.answer, Place::Waiting { .. })),
                    None => {
                        assert_eq!(outcome.answer, Place::Absent, "P6: renewal revives nothing");
                    }
                }
            }
            Step::Leave { who } => {
                self.drop_dead();
                let at = self.line.iter().position(|stander| stander.who == who);
                let outcome = self
                    .record
                    .leave(self.claims[who].id, &time, self.floor)
                    .unwrap();
                match at.map(|at| self.line.remove(at)) {
                    Some(Stander {
                        number: Some(number),
                        ..
                    }) => assert_eq!(outcome.answer, Place::Held { number }),
                    Some(_) => assert!(matches!(outcome.answer, Place::Waiting { .. })),
                    None => assert_eq!(outcome.answer, Place::Absent, "P10: it frees only its own"),
                }
                self.take_grants(&outcome.granted);
            }
            Step::Expire => {
                let granted = self.record.expire(&time, self.floor).unwrap();
                self.drop_dead();
                self.take_grants(&granted);
            }
            Step::Pass { micros } => self.now += micros,
            Step::SetFloor { floor } => self.step_floor(floor),
            Step::Reboot => {
                self.boot += 1;
                self.now = 0;
                self.line.clear();
            }
            Step::LoseRecord => {
                self.record = LockQueue::new(&time);
                self.line.clear();
                self.step_floor(self.floor);
            }
            Step::WriteAndRead => {
                assert_eq!(
                    LockQueue::from_json(self.record.to_json()).unwrap(),
                    self.record
                );
            }
        }
    }

    /// Numbers survive the loss of a record if the wall clock is not behind: that much is assumed.
    fn step_floor(&mut self, floor: u64) {
        let forgotten = self.record.last() < self.greatest;
        self.floor = if forgotten {
            floor.max(self.greatest + 1)
        } else {
            floor
        };
    }

    fn enter(&mut self, who: usize, wait: bool) {
        self.drop_dead();
        let mode = self.claims[who].mode;
        let conflict = self
            .line
            .iter()
            .any(|stander| !self.claims[stander.who].mode.mixes_with(mode));
        let before = self.record.clone();
        let outcome = match self
            .record
            .enter(&self.claims[who], wait, &self.time(), self.floor)
        {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(conflict, "P1: {error}");
                LockQueue::from_json(self.record.to_json()).expect("refusing damages nothing");
                self.record = before;
                return;
            }
            Ok(outcome) => outcome,
        };
        assert!(
            !conflict,
            "P1: locks and semaphores, or two limits, never mix"
        );
        let now = self.now;
        match self.line.iter_mut().find(|stander| stander.who == who) {
            Some(stander) => stander.heard = now,
            None => self.line.push(Stander {
                who,
                heard: now,
                number: None,
            }),
        }
        let at = self
            .line
            .iter()
            .position(|stander| stander.who == who)
            .unwrap();
        let held = self.line[at].number.is_some() || self.may_hold(at);
        if !held && !wait {
            self.line.remove(at);
            assert_eq!(
                outcome.answer,
                Place::Absent,
                "P8: who would not wait goes away"
            );
            return self.take_grants(&outcome.granted);
        }
        self.take_grants(&outcome.granted);
        match outcome.answer {
            Place::Held { number } => assert_eq!(self.line[at].number, Some(number)),
            Place::Waiting { recheck } => {
                assert!(!held);
                let first = self.line[..at]
                    .iter()
                    .map(|stander| stander.heard + self.ttl(stander.who))
                    .min();
                assert_eq!(
                    Some(now + recheck.as_micros() as u64),
                    first,
                    "P7: looks when the first before it expires"
                );
            }
            answer => panic!("P8: one that waits stays, and yet: {answer:?}"),
        }
    }

    /// The record shows the line, no more and no less.
    fn compare(&mut self) {
        self.drop_dead();
        let state = self.record.state(&self.time());
        let labels = |entries: &[distlock_core::Entry]| {
            entries
                .iter()
                .map(|entry| (entry.owner.clone().unwrap(), entry.expires_in.unwrap()))
                .collect::<Vec<_>>()
        };
        let expected = |held: bool| {
            let those = self
                .line
                .iter()
                .filter(|stander| stander.number.is_some() == held);
            those
                .map(|stander| {
                    let expires = stander.heard + self.ttl(stander.who) - self.now;
                    (
                        self.claims[stander.who].owner.to_string(),
                        Duration::from_micros(expires),
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            labels(&state.holders),
            expected(true),
            "P1, P3: holders, each with its own expiry"
        );
        assert_eq!(
            labels(&state.waiters),
            expected(false),
            "P7, P3: waiters in order, each with its own expiry"
        );
        let exclusive = state
            .holders
            .iter()
            .filter(|holder| holder.mode == Mode::Exclusive)
            .count();
        assert!(exclusive == 0 || state.holders.len() == 1, "P1");
        for holder in &state.holders {
            if let Mode::Permit { limit } = holder.mode {
                assert!(state.holders.len() <= limit as usize, "P1");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_promises(
        modes in modes(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(&modes);
        for step in &steps {
            world.run(step);
            world.compare();
        }
    }
}

#[test]
fn numbers_end_with_an_error_and_never_wrap() {
    let any = Capabilities::new("test", Duration::from_millis(1)..=Duration::from_secs(60));
    let ttl = Ttl::new(Duration::from_secs(10), &any).unwrap();
    let claim = ClaimRequest::new(Name::new("x").unwrap(), Mode::Exclusive, ttl);
    let now = StoreTime::new("boot", 5);
    let error = LockQueue::new(&now)
        .enter(&claim, true, &now, u64::MAX)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
}

/// Refusing one whose mode does not fit, when a holder has just expired, leaves the queue as any
/// verb would: whose turn it is now holds.
#[test]
fn a_conflict_leaves_nobody_ungranted_whose_turn_it_is() {
    let any = Capabilities::new("test", Duration::from_millis(1)..=Duration::from_secs(60));
    let claim = |mode, seconds| {
        let ttl = Ttl::new(Duration::from_secs(seconds), &any).unwrap();
        ClaimRequest::new(Name::new("x").unwrap(), mode, ttl)
    };
    let (dead, next) = (claim(Mode::Exclusive, 1), claim(Mode::Exclusive, 9));
    let begin = StoreTime::new("boot", 0);
    let mut queue = LockQueue::new(&begin);
    queue.enter(&dead, true, &begin, 1).unwrap();
    queue.enter(&next, true, &begin, 1).unwrap();
    let later = StoreTime::new("boot", 2 * SECOND);
    let misfit = claim(Mode::Permit { limit: 2 }, 9);
    let error = queue.enter(&misfit, true, &later, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(matches!(queue.place(next.id, &later), Place::Held { .. }));
    assert_eq!(LockQueue::from_json(queue.to_json()).unwrap(), queue);
}
