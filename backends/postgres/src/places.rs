use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use distlock_core::session::Sessions;
use distlock_core::{Capabilities, Error, ErrorKind, Result};
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::seats::Seats;

/// Where the claims that one runtime drives stand.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) sessions: Sessions<Client>,
    pub(crate) seats: Seats,
    /// A task that has ended only if the runtime has.
    runtime: AbortHandle,
}

/// The places of each runtime. Connections are served by the runtime that opened them: one that is
/// blocked, or has ended, is to hold up no other.
pub(crate) struct Runtimes {
    options: PgConnectOptions,
    capabilities: Capabilities,
    places: Mutex<HashMap<Id, Arc<Places>>>,
}

impl Runtimes {
    pub(crate) fn new(options: PgConnectOptions, capabilities: &Capabilities) -> Self {
        Self {
            options,
            capabilities: capabilities.clone(),
            places: Mutex::default(),
        }
    }

    /// The places of the runtime that asks.
    pub(crate) fn places(&self) -> Result<Arc<Places>> {
        let runtime = Handle::try_current().map_err(|error| {
            let message = "connections are made within the tokio runtime that is to serve them";
            Error::new(ErrorKind::Misconfigured, message).with_source(error)
        })?;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // The id of a runtime that has ended may be that of another now.
        places.retain(|_, places| !places.runtime.is_finished());
        let own = places.entry(runtime.id()).or_insert_with(|| {
            Arc::new(Places {
                sessions: Sessions::new(Client::new(self.options.clone()), &self.capabilities),
                seats: Seats::default(),
                runtime: runtime.spawn(std::future::pending::<()>()).abort_handle(),
            })
        });
        Ok(Arc::clone(own))
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

impl fmt::Debug for Runtimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options hold a password.
        f.debug_struct("Runtimes").finish_non_exhaustive()
    }
}
