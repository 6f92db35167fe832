use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::{Capabilities, Mode, Ttl};

use super::request::{Party, Reply};
use crate::bug::Bug;
use crate::server::Hint;

/// What the store remembers of a claim, so that what comes late or twice does no harm.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) party: Arc<Party>,
    /// What it asked for, as the store understands it.
    pub(super) request: ClaimRequest,
    /// The latest request that was done, and what it was answered.
    pub(super) sequence: u32,
    pub(super) reply: Option<Reply>,
    /// The number of its grant, while it stands.
    pub(super) number: Option<u64>,
}

impl Session {
    pub(super) fn new(party: &Arc<Party>, bug: Option<Bug>) -> Self {
        Self {
            party: Arc::clone(party),
            request: understood(&party.request, bug),
            sequence: 0,
            reply: None,
            number: None,
        }
    }

    /// That it is worth asking again.
    pub(super) fn look(&self) -> Hint {
        let Party { id, request, .. } = &*self.party;
        let signals = request.signals.clone();
        Hint {
            client: id.client,
            label: format!("{id} look"),
            gone: None,
            arrive: Arc::new(move || signals.look()),
        }
    }

    /// That the hold of this number is no more.
    pub(super) fn gone(&self, number: u64) -> Hint {
        let party = Arc::clone(&self.party);
        Hint {
            client: party.id.client,
            label: format!("{} gone {number}", party.id),
            gone: Some((party.id, number)),
            arrive: Arc::new(move || party.told_gone(number)),
        }
    }
}

/// The request as a store with this bug understands it.
fn understood(request: &ClaimRequest, bug: Option<Bug>) -> ClaimRequest {
    let mut request = request.clone();
    match (bug, request.mode) {
        (Some(Bug::HalfTtl), _) => request.ttl = times(&request, 0.5),
        (Some(Bug::NoTtl), _) => request.ttl = times(&request, 1000.0),
        (Some(Bug::OneTooMany), Mode::Permit { limit }) => {
            request.mode = Mode::Permit { limit: limit + 1 };
        }
        _ => {}
    }
    request
}

fn times(request: &ClaimRequest, factor: f64) -> Ttl {
    let any = Capabilities::new("simulated", Duration::ZERO..=Duration::MAX);
    Ttl::new(request.ttl.get().mul_f64(factor), &any).unwrap_or(request.ttl)
}
