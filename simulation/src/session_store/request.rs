use std::fmt;

use distlock_core::queue::Place;
use distlock_miniature as miniature;

use crate::event::ClaimId;

/// A request of a client. The number tells it from others that ask the same: for the network,
/// which is to treat each in a way of its own. The server does not look at it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) client: usize,
    pub(super) asks: miniature::Request,
    pub(super) number: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Reply(pub(super) distlock_core::Result<miniature::Reply>);

impl Request {
    /// What it asks for, without its number.
    pub(super) fn subject(&self) -> String {
        let Self { client, asks, .. } = self;
        match asks {
            miniature::Request::Open { ttl } => format!("{client} open {ttl:?}"),
            miniature::Request::Beat { session } => format!("{client} beat {session}"),
            miniature::Request::Enter { claim, wait, .. } => {
                let verb = if *wait { "enter" } else { "try" };
                format!("{} {verb}", ClaimId::from(claim.id))
            }
            miniature::Request::Wait { entry } => format!("{} wait", ClaimId::from(*entry)),
            miniature::Request::Leave { entries, .. } => {
                let claims: Vec<_> = entries.iter().copied().map(ClaimId::from).collect();
                format!("{client} leave {claims:?}")
            }
            miniature::Request::End { session } => format!("{client} end {session}"),
            miniature::Request::Inspect { name } => format!("{client} inspect {}", name.as_str()),
            other => format!("{client} {other:?}"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.subject(), self.number)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(miniature::Reply::Opened { session }) => write!(f, "opened {session}"),
            Ok(miniature::Reply::Alive { entries }) => {
                let claims: Vec<_> = entries.iter().copied().map(ClaimId::from).collect();
                write!(f, "alive, with {claims:?}")
            }
            Ok(miniature::Reply::Place(Place::Held { number })) => write!(f, "held {number}"),
            Ok(miniature::Reply::Place(Place::Waiting { recheck })) => {
                write!(f, "waiting {recheck:?}")
            }
            Ok(miniature::Reply::Place(_)) => f.write_str("absent"),
            Ok(miniature::Reply::State(state)) => {
                let (holders, waiters) = (state.holders.len(), state.waiters.len());
                write!(f, "{holders} hold, {waiters} wait")
            }
            Ok(miniature::Reply::NoSession) => f.write_str("no such session"),
            Ok(_) => f.write_str("done"),
            Err(error) => write!(f, "{error}"),
        }
    }
}
