use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Attempt, Blocked, Claim, Hold, Patience, Released, Renewal};
use distlock_core::queue::Place;
use distlock_core::{Deadline, Moment, Result};

use super::backend::unexpected;
use super::request::{Party, Reply, Request, Verb};
use super::server::QueueServer;
use crate::bug::Bug;
use crate::journey::Mailbox;
use crate::wire::Wire;

/// A claim, as its client has it.
#[derive(Debug)]
pub(super) struct QueueClaim {
    party: Arc<Party>,
    /// The TTL as the client's clock measures it.
    own_ttl: Duration,
    sequence: u32,
    mailbox: Mailbox<Reply>,
    wire: Arc<Wire<QueueServer>>,
    bug: Option<Bug>,
}

impl QueueClaim {
    pub(super) fn new(
        party: Party,
        own_ttl: Duration,
        wire: Arc<Wire<QueueServer>>,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            party: Arc::new(party),
            own_ttl,
            sequence: 0,
            mailbox: Mailbox::new(),
            wire,
            bug,
        }
    }

    /// Where the claim stands by the store's answer, and the instant from which that is dated.
    async fn ask(&mut self, verb: Verb, by: Deadline) -> Result<(Place, Moment)> {
        self.sequence += 1;
        if self.bug != Some(Bug::StaleReplyAccepted) {
            // What answers an earlier request goes into the mailbox of that one.
            self.mailbox = Mailbox::new();
        }
        let asked = Moment::now();
        let request = Request::Claim {
            party: Arc::clone(&self.party),
            sequence: self.sequence,
            verb,
        };
        let reply = self
            .wire
            .ask(self.party.id.client, request, &self.mailbox, by);
        let place = match reply.await {
            Ok(Reply::Stands(place)) => place,
            Ok(Reply::Failed(error)) => return Err(error),
            Ok(Reply::State(_)) => return Err(unexpected("a reply to another question")),
            Err(_) if self.bug == Some(Bug::FailureIsGrant) => Place::Held { number: 1 },
            Err(error) => return Err(error),
        };
        let as_of = match self.bug {
            Some(Bug::DatedFromAnswer) => Moment::now(),
            _ => asked,
        };
        Ok((place, as_of))
    }
}

#[async_trait]
impl Claim for QueueClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let wait = !patience.has_ended();
        // Whoever asks again does not hold what it had by an answer that came too late.
        self.party.knows(0);
        let (place, as_of) = self.ask(Verb::Enter { wait }, patience.deadline()).await?;
        Ok(match place {
            Place::Held { number } => {
                self.party.knows(number);
                if self.bug == Some(Bug::GoneBeforeGrant) {
                    self.party.request.signals.gone();
                }
                Attempt::Held(Hold::new(number, self.own_ttl, as_of))
            }
            Place::Waiting { recheck } => Attempt::Blocked(Blocked::recheck(recheck)),
            _ => Attempt::Blocked(Blocked::default()),
        })
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let number = self.party.known();
        let (place, as_of) = self.ask(Verb::Renew { number }, by).await?;
        Ok(match place {
            Place::Held { .. } => Renewal::Extended(as_of),
            _ => Renewal::Lost,
        })
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        let (place, _) = self.ask(Verb::Leave, by).await?;
        Ok(match place {
            Place::Held { .. } => Released::Held,
            _ => Released::NotHeld,
        })
    }
}
