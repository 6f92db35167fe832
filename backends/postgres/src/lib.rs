//! The PostgreSQL store of [distlock](https://docs.rs/distlock): advisory locks with a TTL, fencing
//! tokens and fair waiting. No table.
//!
//! ```no_run
//! use distlock_core::Locks;
//! use distlock_postgres::PostgresBackend;
//!
//! # async fn example() -> distlock_core::Result<()> {
//! let backend = PostgresBackend::connect("postgres://shop@db.example.com/shop").await?;
//! let locks = Locks::new(backend)?;
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
//!
//! # Features
//! `tls`: secure connections, by rustls with ring for its cryptography, and with the authorities
//! that the system trusts or those of `sslrootcert`. Without it, `sslmode=require` and stricter
//! ones are refused.

mod address;
mod claim;
mod client;
mod connection;
mod control;
#[cfg(feature = "tls")]
mod cryptography;
mod error;
mod key;
mod opening;
mod places;
mod seats;
mod sequence;
mod statements;
mod table;
mod task;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::session::PerRuntime;
use distlock_core::{Capabilities, Deadline, Expiry, Fair, Fencing, LockState, Name, Result};

pub use sqlx;
use sqlx::postgres::PgConnectOptions;

use claim::PostgresClaim;
use places::Places;
use seats::Seats;

/// Locks in a PostgreSQL database. Clones share their connections, as far as one runtime drives
/// them.
#[derive(Clone, Debug)]
pub struct PostgresBackend {
    capabilities: Capabilities,
    /// Those of each runtime that drives claims.
    places: Arc<PerRuntime<Places>>,
}

impl PostgresBackend {
    /// Connects to the database that this URL names:
    /// `postgres://user:password@host:port/database`, or `postgresql:`. Options may follow, as
    /// those of libpq: `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, and `host` for the folder
    /// of a socket.
    ///
    /// # Errors
    /// * `InvalidInput`: the URL is none, or has an option that is none.
    /// * `Unauthorized`: the server does not let this role in, or the role lacks the right to the
    ///   sequence; then the message has the statement that gives it.
    /// * `Misconfigured`: the server is older than PostgreSQL 14, a standby, or read-only; there is
    ///   no such database; a pooler lends its connections for less than a session; no secure
    ///   connection can be made; or there is no tokio runtime.
    /// * `Unavailable`: it cannot be reached, or takes no more connections.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the connection.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::new(address::options(url)?).await
    }

    /// Connects as these options of the `sqlx` crate say.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As for [`connect`](Self::connect).
    pub async fn new(options: PgConnectOptions) -> Result<Self> {
        #[cfg(feature = "tls")]
        cryptography::settle();
        let capabilities = capabilities();
        let of_all = capabilities.clone();
        let places = PerRuntime::new(move || Places::new(options.clone(), &of_all));
        places.get()?.sessions.store().check().await?;
        Ok(Self {
            capabilities,
            places: Arc::new(places),
        })
    }
}

fn capabilities() -> Capabilities {
    // The server counts the time that a session is idle in milliseconds, in 31 bits.
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    let mut capabilities = Capabilities::new("postgres", Duration::from_secs(1)..=LONGEST);
    capabilities.shared = true;
    capabilities.fair = Fair::UpTo(Seats::MOST);
    capabilities.push = true;
    capabilities.waits_on_server = true;
    capabilities.expiry = Expiry::PerSession;
    // Those behind a waiter that has died look a little later.
    capabilities.slack = Duration::from_secs(1);
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
        Ok(Box::new(PostgresClaim::new(self.places.get()?, request)))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let places = self.places.get()?;
        places.sessions.store().inspect(name, by).await
    }

    async fn close(&self, by: Deadline) {
        if let Ok(places) = self.places.get() {
            places.seats.close();
            places.sessions.close(by).await;
        }
    }
}
