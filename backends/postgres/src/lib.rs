//! The PostgreSQL store of [distlock](https://docs.rs/distlock): advisory locks with a TTL, fencing
//! tokens and fair waiting. No table.
//!
//! ```no_run
//! use distlock_core::Locks;
//! use distlock_postgres::PostgresBackend;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = "postgres://shop@db.example.com/shop".parse()?;
//! let locks = Locks::new(PostgresBackend::new(options))?;
//! let guard = locks.lock("nightly").acquire().await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it rests on
//! * **PostgreSQL 14 or later**, a primary, reached directly or by a pooler that lends connections
//!   for a session. Others are refused.
//! * **One sequence**, `public.distlock_number`, from which all tokens of the database come. It is
//!   made when it is missing, which takes the right to.
//! * **Connections of its own.** The server ends each that it has not heard of for its TTL
//!   (`idle_session_timeout`), and with it its locks.
//! * **The server's clock** not being behind the last grant when the server has crashed or failed
//!   over (`Fencing::ClockAssumed`).

mod claim;
mod client;
mod connection;
mod error;
mod key;
mod opening;
mod seats;
mod statements;
mod table;
mod task;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::session::Sessions;
use distlock_core::{Capabilities, Deadline, Expiry, Fair, Fencing, LockState, Name, Result};

pub use sqlx;
use sqlx::postgres::PgConnectOptions;

use claim::{Places, PostgresClaim};
use client::Client;
use seats::Seats;

/// How many claims of a client wait on the server at most, or hold what they have waited for.
const SEATS: u32 = 16;

/// Locks in a PostgreSQL database. Clones share their connections.
#[derive(Clone, Debug)]
pub struct PostgresBackend {
    capabilities: Capabilities,
    places: Arc<Places>,
}

impl PostgresBackend {
    /// A client of the database that these options name. Nothing is sent yet.
    pub fn new(options: PgConnectOptions) -> Self {
        let capabilities = capabilities();
        let sessions = Sessions::new(Client::new(options), &capabilities);
        let seats = Seats::new(SEATS as usize);
        Self {
            capabilities,
            places: Arc::new(Places { sessions, seats }),
        }
    }
}

fn capabilities() -> Capabilities {
    // The server counts the time that a session is idle in milliseconds, in 31 bits.
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    let mut capabilities = Capabilities::new("postgres", Duration::from_secs(1)..=LONGEST);
    capabilities.shared = true;
    capabilities.fair = Fair::UpTo(SEATS);
    capabilities.push = true;
    capabilities.waits_on_server = true;
    capabilities.expiry = Expiry::PerSession;
    // A waiter that died may be granted its lock.
    capabilities.slack = statements::HEARD + Duration::from_millis(500);
    capabilities.fencing = Fencing::ClockAssumed;
    capabilities.may_forget = true;
    capabilities
}

#[async_trait]
impl Backend for PostgresBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(PostgresClaim::new(&self.places, request)))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        self.places.sessions.store().inspect(name, by).await
    }

    async fn close(&self, by: Deadline) {
        self.places.seats.close();
        self.places.sessions.close(by).await;
    }
}
