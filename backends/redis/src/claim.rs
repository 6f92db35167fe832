use std::sync::Arc;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::{Deadline, ErrorKind, Moment, Result};

use crate::link::Link;
use crate::queue::{Found, Place, Queue};
use crate::waiters::Waiting;

/// A claim on a name in Redis.
#[derive(Debug)]
pub(crate) struct RedisClaim {
    request: ClaimRequest,
    link: Arc<Link>,
    queue: Queue,
    /// While it waits, grants are told to it.
    waiting: Option<Waiting>,
    /// Where it was last seen to wait.
    stands: Option<Stands>,
    /// The number of the grant that the engine knows of.
    granted: Option<u64>,
    /// Whether a request was not answered, and may yet be done.
    unsure: bool,
}

/// A place in line.
#[derive(Clone, Copy, Debug)]
struct Stands {
    arrival: u64,
    /// An instant before it was last refreshed.
    as_of: Moment,
}

impl RedisClaim {
    pub(crate) fn new(link: &Arc<Link>, request: ClaimRequest) -> Result<Self> {
        Ok(Self {
            queue: Queue::new(link, &request)?,
            link: Arc::clone(link),
            request,
            waiting: None,
            stands: None,
            granted: None,
            unsure: false,
        })
    }

    /// The hold that the server has told of. It needs no request: the TTL counts from when the
    /// place was last refreshed.
    fn told(&self) -> Option<Hold> {
        let grant = self.waiting.as_ref()?.take_grant()?;
        let stands = self.stands.filter(|it| it.arrival == grant.arrival)?;
        Some(Hold::new(
            grant.number,
            self.request.ttl.get(),
            stands.as_of,
        ))
    }

    fn holds(&mut self, hold: Hold) -> Attempt {
        self.waiting = None;
        self.stands = None;
        self.granted = Some(hold.number);
        Attempt::Held(hold)
    }

    fn noting_doubt(&mut self, found: Result<Found>) -> Result<Found> {
        self.unsure |= matches!(&found, Err(error) if error.kind() == ErrorKind::Unavailable);
        found
    }
}

#[async_trait]
impl Claim for RedisClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let ttl = self.request.ttl.get();
        let wait = !patience.has_ended();
        if let Some(hold) = self.told() {
            return Ok(self.holds(hold));
        }
        if wait && self.waiting.is_none() {
            let Self { request, link, .. } = self;
            self.waiting = Some(link.waiters().add(request.id, &request.signals));
        }
        let found = self.queue.enter(wait, patience.deadline()).await;
        let Found { place, sent } = self.noting_doubt(found)?;
        Ok(match place {
            Place::Held { number } => self.holds(Hold::new(number, ttl, sent)),
            Place::Waiting { arrival, recheck } => {
                self.stands = Some(Stands {
                    arrival,
                    as_of: sent,
                });
                Attempt::Blocked(Blocked::recheck(recheck))
            }
            Place::Absent => Attempt::Blocked(Blocked::default()),
        })
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let found = self.queue.renew(by).await;
        let Found { place, sent } = self.noting_doubt(found)?;
        Ok(match place {
            Place::Held { number } if self.granted == Some(number) => Renewal::Extended(sent),
            // Of another number, it is another hold: the data was lost, and a request that came
            // late made the claim anew.
            _ => Renewal::Lost,
        })
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.waiting = None;
        self.stands = None;
        let found = self.queue.leave(self.unsure, by).await;
        let Found { place, .. } = self.noting_doubt(found)?;
        Ok(match place {
            Place::Held { .. } => Released::Held,
            Place::Waiting { .. } | Place::Absent => Released::NotHeld,
        })
    }
}
