use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::{LockQueue, Place, StoreTime};
use distlock_core::{Capabilities, ErrorKind, LockState, Name, Result, Ttl};

use super::answer::Answer;
use super::script::Contender;

/// The TTL of claims that do not last, by the queue's clock.
const TTL: Duration = Duration::from_secs(10);
/// A TTL that no script sees the end of.
const LASTING: Duration = Duration::from_secs(100_000);

/// A `LockQueue` and its clock. Claims are known by the order in which they were made.
pub(super) struct Model {
    queue: LockQueue,
    now: StoreTime,
    claims: Vec<ClaimRequest>,
}

impl Model {
    /// How much of a TTL passes at a time: a claim that is not heard of survives that once, and not
    /// twice.
    pub(super) const PASS: f64 = 0.6;

    pub(super) fn new() -> Self {
        let now = StoreTime::new("model", 0);
        Self {
            queue: LockQueue::new(&now),
            now,
            claims: Vec::new(),
        }
    }

    /// Names a new claim of this owner; which one it is.
    pub(super) fn claim(&mut self, contender: Contender, owner: &Arc<str>) -> Result<usize> {
        let any = Capabilities::new("model", TTL..=LASTING);
        let ttl = Ttl::new(if contender.lasting { LASTING } else { TTL }, &any)?;
        let claim = self.claims.len();
        let mut request = ClaimRequest::new(Name::new("x")?, contender.mode, ttl);
        request.id = claim as u128;
        request.owner = Arc::clone(owner);
        self.claims.push(request);
        Ok(claim)
    }

    pub(super) fn attempt(&mut self, claim: usize, wait: bool) -> Result<Answer> {
        let request = &self.claims[claim];
        match self.queue.enter(request, wait, &self.now, 0) {
            Ok(outcome) => Ok(match outcome.answer {
                Place::Held { .. } => Answer::Held,
                _ => Answer::Blocked,
            }),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Answer::Conflict),
            Err(error) => Err(error),
        }
    }

    pub(super) fn renew(&mut self, claim: usize) -> Result<Answer> {
        let outcome = self.queue.renew(claim as u128, &self.now, 0)?;
        Ok(match outcome.answer {
            Place::Held { .. } => Answer::Extended,
            _ => Answer::Lost,
        })
    }

    pub(super) fn release(&mut self, claim: usize) -> Result<Answer> {
        let outcome = self.queue.leave(claim as u128, &self.now, 0)?;
        Ok(match outcome.answer {
            Place::Held { .. } => Answer::Released,
            _ => Answer::NotHeld,
        })
    }

    pub(super) fn pass(&mut self) {
        let micros = TTL.mul_f64(Self::PASS).as_micros() as u64;
        self.now = StoreTime::new(self.now.epoch(), self.now.micros() + micros);
        let granted = self.queue.expire(&self.now, 0);
        granted.expect("no script uses up the numbers");
    }

    /// Who holds the name and who waits, each by the owner of its claim.
    pub(super) fn state(&self) -> LockState {
        self.queue.state(&self.now)
    }

    /// The claims that hold the name, each with the number of its hold, in the order of the grants.
    pub(super) fn holds(&self) -> Vec<(usize, u64)> {
        let number = |claim| self.number(claim).map(|number| (claim, number));
        let mut holds: Vec<_> = (0..self.claims.len()).filter_map(number).collect();
        holds.sort_by_key(|(_, number)| *number);
        holds
    }

    /// The queue's number of the claim's hold.
    pub(super) fn number(&self, claim: usize) -> Option<u64> {
        match self.place(claim) {
            Place::Held { number } => Some(number),
            _ => None,
        }
    }

    /// Whether the claim holds the name or waits for it.
    pub(super) fn stands(&self, claim: usize) -> bool {
        self.place(claim) != Place::Absent
    }

    fn place(&self, claim: usize) -> Place {
        self.queue.place(claim as u128, &self.now)
    }
}
