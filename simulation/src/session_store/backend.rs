use std::sync::Arc;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::{Capabilities, Deadline, LockState, Name, Result};

use crate::bug::Bug;
use crate::careless::Careless;
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
        Ok(Careless::with(self.bug, self.backend.claim(request)?))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        self.backend.inspect(name, by).await
    }

    async fn close(&self, by: Deadline) {
        self.backend.close(by).await;
    }
}
