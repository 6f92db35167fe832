use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{
    Attempt, Backend, Blocked, Claim, ClaimRequest, Patience, Released, Renewal,
};
use distlock_core::queue::Place;
use distlock_core::session::Sessions;
use distlock_core::{Capabilities, Deadline, Expiry, Fair, Fencing, LockState, Name, Result};

use crate::membership::{Client, Membership, unexpected};
use crate::request::{Reply, Request};
use crate::server::Server;
use crate::wire::Wire;

/// A client whose claims stand in line under its sessions, and are told when their turn comes.
#[derive(Debug)]
pub struct SessionBackend<W: Wire> {
    capabilities: Capabilities,
    sessions: Arc<Sessions<Client<W>>>,
}

impl<W: Wire> SessionBackend<W> {
    /// A client of the server at the other end of this wire.
    pub fn new(wire: W) -> Self {
        let capabilities = capabilities("sessions");
        Self {
            sessions: Arc::new(Sessions::new(Client(wire), &capabilities)),
            capabilities,
        }
    }
}

/// What stores of both families can do.
pub(crate) fn capabilities(store: &'static str) -> Capabilities {
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

pub(crate) async fn inspect<W: Wire>(
    sessions: &Sessions<Client<W>>,
    name: &Name,
    by: Deadline,
) -> Result<LockState> {
    let request = Request::Inspect { name: name.clone() };
    match sessions.store().ask(request, by).await? {
        Reply::State(state) => Ok(state),
        other => Err(unexpected(&other)),
    }
}

#[async_trait]
impl<W: Wire> Backend for SessionBackend<W> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(SessionClaim(Membership::new(
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
struct SessionClaim<W: Wire>(Membership<W>);

#[async_trait]
impl<W: Wire> Claim for SessionClaim<W> {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let Self(claim) = self;
        match claim
            .enter(!patience.has_ended(), patience.deadline())
            .await?
        {
            Place::Held { number } => claim.hold(number).map(Attempt::Held),
            Place::Waiting { recheck } => {
                let kept = claim.ttl() / 3;
                Ok(Attempt::Blocked(Blocked::recheck(recheck.min(kept))))
            }
            _ => Ok(Attempt::Blocked(Blocked::default())),
        }
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        self.0.renew(by).await
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.0.leave(by).await
    }
}
