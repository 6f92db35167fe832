use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::{
    Capabilities, Deadline, Error, ErrorKind, Fair, Fencing, LockState, Name, Result,
};

use crate::claim::SimulatedClaim;
use crate::world::World;

/// A client's side of the simulated store.
#[derive(Debug)]
pub(crate) struct SimulatedBackend {
    capabilities: Capabilities,
    client: usize,
    world: Arc<World>,
}

impl SimulatedBackend {
    pub(crate) fn new(client: usize, world: &Arc<World>) -> Self {
        let ttl = Duration::from_millis(10)..=Duration::from_secs(60);
        let mut capabilities = Capabilities::new("simulated", ttl);
        capabilities.shared = true;
        capabilities.permits = true;
        capabilities.fair = Fair::Yes;
        capabilities.push = true;
        capabilities.fencing = Fencing::Strict;
        capabilities.may_forget = false;
        Self {
            capabilities,
            client,
            world: Arc::clone(world),
        }
    }
}

#[async_trait]
impl Backend for SimulatedBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let number = self.world.number_claim();
        // Numbered rather than random, so that nothing of a run is left to other chance than its
        // seed's.
        request.id = number as u128;
        let claim = SimulatedClaim::new(number, self.client, request, &self.world)?;
        Ok(Box::new(claim))
    }

    async fn inspect(&self, _name: &Name, _by: Deadline) -> Result<LockState> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "nobody inspects in the simulation",
        ))
    }
}
