use async_trait::async_trait;
use distlock_core::backend::{Attempt, Blocked, Claim, Patience, Released, Renewal};
use distlock_core::queue::Place;
use distlock_core::{Deadline, Result};
use tokio::time::sleep;

use crate::membership::Membership;
use crate::wire::Wire;

/// A claim that is told when its turn comes, or that waits on the server for it.
#[derive(Debug)]
pub(crate) struct SessionClaim<W: Wire> {
    membership: Membership<W>,
    waits_on_server: bool,
}

impl<W: Wire> SessionClaim<W> {
    pub(crate) fn new(membership: Membership<W>, waits_on_server: bool) -> Self {
        Self {
            membership,
            waits_on_server,
        }
    }
}

#[async_trait]
impl<W: Wire> Claim for SessionClaim<W> {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let claim = &mut self.membership;
        // The session has to be kept alive meanwhile.
        let soon = claim.ttl() / 3;
        loop {
            // Once patience has ended, this gives up the place in line, unless it was granted.
            let wait = !patience.has_ended();
            match claim.enter(wait, patience.deadline()).await? {
                Place::Held { number } => return claim.hold(number).map(Attempt::Held),
                Place::Waiting { .. } if self.waits_on_server => tokio::select! {
                    biased;
                    waited = claim.waited() => waited?,
                    () = patience.ended() => {}
                    () = sleep(soon) => {}
                },
                Place::Waiting { recheck } => {
                    return Ok(Attempt::Blocked(Blocked::recheck(recheck.min(soon))));
                }
                _ => return Ok(Attempt::Blocked(Blocked::default())),
            }
        }
    }

    async fn renew(&mut self, by: Deadline) -> Result<Renewal> {
        self.membership.renew(by).await
    }

    async fn release(&mut self, by: Deadline) -> Result<Released> {
        self.membership.leave(by).await
    }
}
