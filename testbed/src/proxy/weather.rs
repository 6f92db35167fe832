use std::time::Duration;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: answers.
    ToClient,
}

/// What the network is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) cut: bool,
    to_server: Lane,
    to_client: Lane,
}

/// What one direction of it is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    pub(super) stalled: bool,
    pub(super) delay: Duration,
    /// Bytes a second.
    pub(super) rate: Option<u32>,
}

impl Weather {
    pub(super) fn lane(&self, way: Way) -> Lane {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }

    pub(super) fn lane_mut(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }
}
