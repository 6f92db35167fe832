use std::sync::Arc;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Backend, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal,
};
use distlock_core::{Capabilities, Deadline, LockState, Moment, Name, Result};

use crate::bug::Bug;
use crate::world::World;

/// One of the miniature's backends, whose claims have numbers rather than ids of chance.
#[derive(Debug)]
pub(crate) struct SessionsBackend<B> {
    client: usize,
    world: Arc<World>,
    backend: B,
    bug: Option<Bug>,
}

impl<B: Backend> SessionsBackend<B> {
    pub(crate) fn new(client: usize, world: &Arc<World>, backend: B, bug: Option<Bug>) -> Self {
        Self {
            client,
            world: Arc::clone(world),
            backend,
            bug,
        }
    }
}

#[async_trait]
impl<B: Backend> Backend for SessionsBackend<B> {
    fn capabilities(&self) -> &Capabilities {
        self.backend.capabilities()
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Box<dyn Claim>> {
        request.id = self.world.new_claim(self.client).into();
        let claim = self.backend.claim(request)?;
        Ok(match self.bug {
            Some(bug) => Box::new(Careless { claim, bug }),
            None => claim,
        })
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        self.backend.inspect(name, by).await
    }

    async fn close(&self, by: Deadline) {
        self.backend.close(by).await;
    }
}

/// A claim whose backend has a bug.
#[derive(Debug)]
struct Careless {
    claim: Box<dyn Claim>,
    bug: Bug,
}

#[async_trait]
impl Claim for Careless {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let attempt = self.claim.attempt(patience);
        match self.bug {
            Bug::DatedFromAnswer => Ok(match attempt.await? {
                Attempt::Held(hold) => {
                    Attempt::Held(Hold::new(hold.number, hold.ttl, Moment::now()))
                }
                blocked => blocked,
            }),
            Bug::OutcomeUnread if !patience.has_ended() => tokio::select! {
                biased;
                attempt = attempt => attempt,
                () = patience.ended() => Ok(Attempt::Blocked(Blocked::default())),
            },
            _ => attempt.await,
        }
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        match self.claim.renew(by).await? {
            Renewal::Extended(_) if self.bug == Bug::DatedFromAnswer => {
                Ok(Renewal::Extended(Moment::now()))
            }
            renewal => Ok(renewal),
        }
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        match self.bug {
            Bug::ReleaseUnsent => Ok(Released::NotHeld),
            _ => self.claim.release(by).await,
        }
    }
}
