use std::sync::Arc;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::queue::Place;
use distlock_core::{Deadline, Error, ErrorKind, Moment, Result};

use crate::bug::Bug;
use crate::message::{Message, Sender, Verb};
use crate::world::World;

/// A claim in the simulated store.
#[derive(Debug)]
pub(crate) struct SimulatedClaim {
    number: usize,
    client: usize,
    name: usize,
    request: Arc<ClaimRequest>,
    sequence: u32,
    world: Arc<World>,
}

impl SimulatedClaim {
    pub(crate) fn new(
        number: usize,
        client: usize,
        request: ClaimRequest,
        world: &Arc<World>,
    ) -> Result<Self> {
        let name =
            request.name.as_str().parse().map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "names are numbers here").with_source(Box::<
                    dyn std::error::Error + Send + Sync,
                >::from(
                    format!("{error}"),
                ))
            })?;
        Ok(Self {
            number,
            client,
            name,
            request: Arc::new(request),
            sequence: 0,
            world: Arc::clone(world),
        })
    }

    /// Where the claim stands by the store's answer, and the instant from which that is dated.
    async fn ask(&mut self, verb: Verb, by: Deadline) -> Result<(Place, Moment)> {
        self.sequence += 1;
        let asked = Moment::now();
        let (sender, reply) = Sender::new();
        self.world.send(Message {
            claim: self.number,
            client: self.client,
            name: self.name,
            sequence: self.sequence,
            verb,
            request: Arc::clone(&self.request),
            allowed: by.remaining(),
            sender,
        });
        let place = by
            .bound(async {
                match reply.await {
                    Ok(reply) => reply,
                    // Lost, of which nobody tells.
                    Err(_) => std::future::pending().await,
                }
            })
            .await?;
        let as_of = match self.world.bug {
            Some(Bug::DatedFromAnswer) => Moment::now(),
            _ => asked,
        };
        Ok((place, as_of))
    }
}

#[async_trait]
impl Claim for SimulatedClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let wait = !patience.has_ended();
        let (place, as_of) = self.ask(Verb::Enter { wait }, patience.deadline()).await?;
        Ok(match place {
            Place::Held { number } => {
                Attempt::Held(Hold::new(number, self.request.ttl.get(), as_of))
            }
            Place::Waiting { recheck } => Attempt::Blocked(Blocked::recheck(recheck)),
            _ => Attempt::Blocked(Blocked::default()),
        })
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        let (place, as_of) = self.ask(Verb::Renew, by).await?;
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
