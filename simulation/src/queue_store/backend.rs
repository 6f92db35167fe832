use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Signals};
use distlock_core::{
    Capabilities, Deadline, Error, ErrorKind, Fair, Fencing, LockState, Name, Result, Ttl,
};

use super::claim::QueueClaim;
use super::request::{Party, Reply, Request};
use super::server::QueueServer;
use crate::bug::Bug;
use crate::journey::Mailbox;
use crate::wire::Wire;

/// A client's side of the store.
#[derive(Debug)]
pub(crate) struct QueueBackend {
    capabilities: Capabilities,
    client: usize,
    /// What the client means when it asks for the TTL that its own clock measures.
    ttl: Ttl,
    wire: Arc<Wire<QueueServer>>,
    bug: Option<Bug>,
}

impl QueueBackend {
    pub(crate) fn new(
        client: usize,
        wire: &Arc<Wire<QueueServer>>,
        bug: Option<Bug>,
    ) -> Result<Self> {
        let ttl = Duration::from_millis(10)..=Duration::from_secs(60);
        let mut capabilities = Capabilities::new("simulated", ttl);
        capabilities.shared = true;
        capabilities.permits = true;
        capabilities.fair = Fair::Yes;
        capabilities.push = true;
        capabilities.fencing = Fencing::Strict;
        capabilities.may_forget = wire.world.plan.forgets();
        let ttl = Ttl::new(wire.world.plan.clients[client].ttl, &capabilities)?;
        Ok(Self {
            capabilities,
            client,
            ttl,
            wire: Arc::clone(wire),
            bug,
        })
    }
}

#[async_trait]
impl Backend for QueueBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let id = self.wire.world.new_claim(self.client);
        let own_ttl = request.ttl.get();
        (request.id, request.ttl) = (id.into(), self.ttl);
        let party = Party::new(id, number_of(&request.name)?, request);
        let wire = Arc::clone(&self.wire);
        Ok(Box::new(QueueClaim::new(party, own_ttl, wire, self.bug)))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let request = Request::Inspect {
            id: self.wire.world.new_claim(self.client),
            name: number_of(name)?,
        };
        let mailbox = Mailbox::new();
        match self.wire.ask(self.client, request, &mailbox, by).await? {
            Reply::State(state) => Ok(state),
            Reply::Failed(error) => Err(error),
            Reply::Stands(_) => Err(unexpected("a reply to another question")),
        }
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        let name = number_of(name).ok()?;
        let listen = |server: &mut QueueServer| server.listen(self.client, name, signals);
        self.wire.with_server(listen);
        // Signals that nobody listens to any more are left out.
        Some(Box::new(()))
    }
}

pub(super) fn unexpected(what: &'static str) -> Error {
    Error::new(ErrorKind::Unexpected, what)
}

fn number_of(name: &Name) -> Result<usize> {
    let number = name.as_str().parse();
    number.map_err(|_| Error::new(ErrorKind::InvalidInput, "names are numbers here"))
}
