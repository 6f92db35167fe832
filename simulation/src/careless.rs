use async_trait::async_trait;
use distlock_core::backend::{Attempt, Blocked, Claim, Hold, Patience, Released, Renewal};
use distlock_core::{Deadline, Moment, Result};

use crate::bug::Bug;

/// A claim whose backend has a bug.
#[derive(Debug)]
pub(crate) struct Careless {
    claim: Box<dyn Claim>,
    bug: Bug,
}

impl Careless {
    /// This claim, as a backend with this bug has it.
    pub(crate) fn with(bug: Option<Bug>, claim: Box<dyn Claim>) -> Box<dyn Claim> {
        match bug {
            Some(bug) => Box::new(Self { claim, bug }),
            None => claim,
        }
    }
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
