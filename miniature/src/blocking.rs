use std::sync::Arc;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Backend, Blocked, Claim, ClaimRequest, Patience, Released, Renewal,
};
use distlock_core::queue::Place;
use distlock_core::session::Sessions;
use distlock_core::{Capabilities, Deadline, LockState, Name, Result};
use tokio::time::sleep;

use crate::membership::{Client, Membership};
use crate::session::{capabilities, inspect};
use crate::wire::Wire;

/// A client whose claims wait on the server: a request for a lock is answered when it is granted.
#[derive(Debug)]
pub struct BlockingBackend<W: Wire> {
    capabilities: Capabilities,
    sessions: Arc<Sessions<Client<W>>>,
}

impl<W: Wire> BlockingBackend<W> {
    /// A client of the server at the other end of this wire.
    pub fn new(wire: W) -> Self {
        let mut capabilities = capabilities("blocking");
        capabilities.waits_on_server = true;
        Self {
            sessions: Arc::new(Sessions::new(Client(wire), &capabilities)),
            capabilities,
        }
    }
}

#[async_trait]
impl<W: Wire> Backend for BlockingBackend<W> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(BlockingClaim(Membership::new(
            &self.sessions,
            request,
        ))))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        inspect(&self.sessions, name, by).await
    }

    async fn close(&self, by: Deadline) {
        self.sessions.close(by).await;
    }
}

#[derive(Debug)]
struct BlockingClaim<W: Wire>(Membership<W>);

#[async_trait]
impl<W: Wire> Claim for BlockingClaim<W> {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let Self(claim) = self;
        loop {
            // Once patience has ended, this gives up the place in line, unless it was granted.
            let wait = !patience.has_ended();
            match claim.enter(wait, patience.deadline()).await? {
                Place::Held { number } => return claim.hold(number).map(Attempt::Held),
                Place::Waiting { .. } => tokio::select! {
                    biased;
                    waited = claim.waited() => waited?,
                    () = patience.ended() => {}
                    // In time for the session to be kept alive.
                    () = sleep(claim.ttl() / 3) => {}
                },
                _ => return Ok(Attempt::Blocked(Blocked::default())),
            }
        }
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        self.0.renew(by).await
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.0.leave(by).await
    }
}
