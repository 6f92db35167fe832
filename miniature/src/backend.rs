use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::session::Sessions;
use distlock_core::{Capabilities, Deadline, Expiry, Fair, Fencing, LockState, Name, Result};

use crate::claim::SessionClaim;
use crate::membership::{Client, Membership, unexpected};
use crate::request::{Reply, Request};
use crate::server::Server;
use crate::wire::Wire;

/// A client whose claims stand under its sessions, and come to their lock in one of two ways.
#[derive(Debug)]
pub struct SessionBackend<W: Wire> {
    capabilities: Capabilities,
    sessions: Arc<Sessions<Client<W>>>,
}

impl<W: Wire> SessionBackend<W> {
    /// A client of the server at the other end of this wire, whose claims stand in line, and are
    /// told when their turn comes.
    pub fn new(wire: W) -> Self {
        Self::with(wire, capabilities("sessions"))
    }

    /// A client whose claims wait on the server: a request for a lock is answered when it is
    /// granted.
    pub fn waiting_on_server(wire: W) -> Self {
        let mut capabilities = capabilities("blocking");
        capabilities.waits_on_server = true;
        Self::with(wire, capabilities)
    }

    fn with(wire: W, capabilities: Capabilities) -> Self {
        Self {
            sessions: Arc::new(Sessions::new(Client(wire), &capabilities)),
            capabilities,
        }
    }
}

/// What stores of both families can do.
fn capabilities(store: &'static str) -> Capabilities {
    let mut capabilities =
        Capabilities::new(store, Duration::from_millis(600)..=Duration::from_secs(600));
    capabilities.shared = true;
    capabilities.permits = true;
    capabilities.fair = Fair::Yes;
    capabilities.push = true;
    capabilities.expiry = Expiry::PerSession;
    capabilities.slack = Server::SLACK;
    capabilities.fencing = Fencing::Strict;
    capabilities.may_forget = false;
    capabilities
}

#[async_trait]
impl<W: Wire> Backend for SessionBackend<W> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        let membership = Membership::new(&self.sessions, request);
        let waits_on_server = self.capabilities.waits_on_server;
        Ok(Box::new(SessionClaim::new(membership, waits_on_server)))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let request = Request::Inspect { name: name.clone() };
        match self.sessions.store().ask(request, by).await? {
            Reply::State(state) => Ok(state),
            other => Err(unexpected(&other)),
        }
    }

    async fn close(&self, by: Deadline) {
        self.sessions.close(by).await;
    }
}
