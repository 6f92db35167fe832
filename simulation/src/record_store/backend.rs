use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Backend, Claim, ClaimRequest, Hold, Patience, Released, Renewal, Signals,
};
use distlock_core::{
    Capabilities, CasBackend, Deadline, Fair, Fencing, LockState, Name, Result, Ttl,
};

use super::server::RecordServer;
use super::store::RecordStore;
use crate::bug::Bug;
use crate::careless::Careless;
use crate::chance::Chance;
use crate::event::{ClaimId, What};
use crate::wire::Wire;

/// A client's side of the store, whose claims have numbers rather than ids of chance.
#[derive(Debug)]
pub(crate) struct RecordsBackend {
    client: usize,
    /// What the client means when it asks for the TTL that its own clock measures.
    ttl: Ttl,
    backend: CasBackend<RecordStore>,
    wire: Arc<Wire<RecordServer>>,
    bug: Option<Bug>,
}

impl RecordsBackend {
    pub(crate) fn new(
        client: usize,
        wire: &Arc<Wire<RecordServer>>,
        bug: Option<Bug>,
    ) -> Result<Self> {
        let plan = &wire.world.plan;
        let ttl = Duration::from_millis(10)..=Duration::from_secs(60);
        let mut capabilities = Capabilities::new("simulated", ttl);
        capabilities.shared = true;
        capabilities.permits = true;
        capabilities.fair = Fair::Yes;
        // Some stores cannot tell; there clients poll.
        capabilities.push = Chance::new(plan.seed).of("push").bool();
        capabilities.fencing = Fencing::Strict;
        capabilities.may_forget = plan.forgets();
        let ttl = Ttl::new(plan.clients[client].ttl, &capabilities)?;
        let store = RecordStore::new(capabilities, client, wire, bug);
        Ok(Self {
            client,
            ttl,
            backend: CasBackend::new(store),
            wire: Arc::clone(wire),
            bug,
        })
    }
}

#[async_trait]
impl Backend for RecordsBackend {
    fn capabilities(&self) -> &Capabilities {
        self.backend.capabilities()
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let id = self.wire.world.new_claim(self.client);
        let own_ttl = request.ttl.get();
        (request.id, request.ttl) = (id.into(), self.ttl);
        // By which the store's records are understood.
        request.label = request.id.to_string().into();
        let claim = Box::new(RecordsClaim {
            id,
            own_ttl,
            claim: self.backend.claim(request)?,
            wire: Arc::clone(&self.wire),
        });
        Ok(Careless::with(self.bug, claim))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        self.backend.inspect(name, by).await
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        self.backend.subscribe(name, signals)
    }
}

/// A claim, as its client has it.
#[derive(Debug)]
struct RecordsClaim {
    id: ClaimId,
    /// The TTL as the client's clock measures it.
    own_ttl: Duration,
    claim: Box<dyn Claim>,
    wire: Arc<Wire<RecordServer>>,
}

#[async_trait]
impl Claim for RecordsClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        Ok(match self.claim.attempt(patience).await? {
            Attempt::Held(Hold { number, as_of, .. }) => {
                Attempt::Held(Hold::new(number, self.own_ttl, as_of))
            }
            blocked => blocked,
        })
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        self.claim.renew(by).await
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        let claim = self.id;
        self.wire.world.record(What::Leaving { claim });
        self.wire.with_server(|server| server.note_leaving(claim));
        let released = self.claim.release(by).await?;
        if self.wire.with_server(|server| !server.shows(claim)) {
            // Also if it was gone before, which no swap shows.
            let held = false;
            self.wire.world.record(What::Left { claim, held });
        }
        Ok(released)
    }
}
