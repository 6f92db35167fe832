use distlock_core::Capabilities;
use distlock_core::session::Sessions;
use sqlx::postgres::PgConnectOptions;

use crate::client::Client;
use crate::seats::Seats;

/// Where the claims that one runtime drives stand.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) sessions: Sessions<Client>,
    pub(crate) seats: Seats,
}

impl Places {
    /// None taken yet, on a server that is reached so.
    pub(crate) fn new(options: PgConnectOptions, capabilities: &Capabilities) -> Self {
        Self {
            sessions: Sessions::new(Client::new(options), capabilities),
            seats: Seats::default(),
        }
    }
}
