use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use distlock_core::Result;
use distlock_miniature as miniature;

use super::request::{Reply, Request};
use super::server::SessionServer;
use crate::event::What;
use crate::journey::Mailbox;
use crate::wire::Wire;

/// What carries the requests of one client into the simulated network.
#[derive(Debug)]
pub(crate) struct SessionWire {
    client: usize,
    wire: Arc<Wire<SessionServer>>,
    /// How often each thing has been asked.
    asked: Mutex<HashMap<String, u32>>,
}

impl SessionWire {
    pub(crate) fn new(client: usize, wire: &Arc<Wire<SessionServer>>) -> Self {
        Self {
            client,
            wire: Arc::clone(wire),
            asked: Mutex::default(),
        }
    }

    fn request(&self, mut asks: miniature::Request) -> Request {
        let Self { client, wire, .. } = self;
        if let miniature::Request::Open { ttl } = &mut asks {
            // What the client means when it asks for the TTL that its own clock measures.
            *ttl = ttl.mul_f64(wire.world.plan.clients[*client].rate);
        }
        let mut request = Request {
            client: *client,
            asks,
            number: 0,
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(request.subject()).or_default();
        *times += 1;
        request.number = *times;
        request
    }
}

#[async_trait]
impl miniature::Wire for SessionWire {
    async fn ask(&self, asks: miniature::Request) -> Result<miniature::Reply> {
        let world = &self.wire.world;
        let (ttl, as_of) = (world.plan.in_force(self.client), world.now());
        let allowed = match asks {
            miniature::Request::Wait { .. } => ttl / 3,
            _ => ttl / 6,
        };
        let beats = match asks {
            miniature::Request::Beat { session } => Some(session),
            _ => None,
        };
        if let Some(session) = beats {
            world.record(What::Beat { session });
        }
        let request = self.request(asks);
        let mailbox = Mailbox::new();
        let reply = self.wire.exchange(self.client, request, &mailbox, allowed);
        let Reply(reply) = reply.await?;
        let confirmed = match reply {
            Ok(miniature::Reply::Opened { session }) => Some(session),
            Ok(miniature::Reply::Alive { .. }) => beats,
            _ => None,
        };
        if let Some(session) = confirmed {
            world.record(What::Confirmed { session, as_of });
        }
        if let (Some(session), Ok(miniature::Reply::NoSession)) = (beats, &reply) {
            world.record(What::Denied { session });
        }
        reply
    }
}
