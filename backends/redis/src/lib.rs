//! The Redis store of [distlock](https://docs.rs/distlock): locks for all that reach one Redis or
//! Valkey: a server, a cluster, or the primary that sentinels watch over.
//!
//! ```no_run
//! use distlock_core::Locks;
//! use distlock_redis::RedisBackend;
//!
//! # async fn example() -> distlock_core::Result<()> {
//! let locks = Locks::new(RedisBackend::connect("redis://127.0.0.1").await?)?;
//! let guard = locks.lock("nightly").acquire().await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it rests on
//! * **The server's memory.** It may forget: restarted without its data, flushed, edited by hand,
//!   or with an eviction policy other than `noeviction`. Replication is asynchronous, so the
//!   replica that takes over may not know the latest grants. Holders are told at their next
//!   renewal, but another may have been granted the name by then: let the resource check the
//!   fencing token.
//!   Connecting to a server that may evict is told by a `tracing` event, a warning.
//! * **The server's clock.** TTLs run on it, so it must be slewed, not stepped. Numbers are never
//!   behind it: where data was lost, tokens go on growing as long as the clock of the server is not
//!   behind the last grant (`Fencing::ClockAssumed`). Where another server may take over a name, in
//!   a cluster or after a failover, their clocks must agree.
//!
//! # How it works
//! The line of those who hold and wait is kept by the server. A script a verb (enter, renew, leave)
//! changes it in one step, so that an uncontended acquire is one round trip, and so is a release. A
//! release grants the name to whoever is next and publishes the grant: a hand-over costs one push.
//! A claim that waits sends nothing but a refresh each third of its TTL, unless one before it would
//! expire sooner.
//!
//! A client has one connection, on which requests go out together and grants come in (RESP3): where
//! some are unanswered, those that come next are gathered, and many are one script. It is made anew
//! when it breaks, or when the server leaves it unanswered for long; with sentinels, they are asked
//! each time who is the primary. In a cluster there is a connection to each primary, and each
//! request goes by itself to the one that keeps the name.
//!
//! A name has up to three keys, in one slot of a cluster: `namespace:{name}` and, while more than
//! one hold or wait, the same with `:ends` and `:line`. They are gone a day, or an hour more, after
//! the last expiry.
//!
//! # Features
//! `tls`: `rediss://`, by rustls with the authorities that the system trusts, and with ring for its
//! cryptography unless the program has chosen another. Other authorities, and certificates of
//! clients, are said to a client of the `redis` crate ([`RedisBackend::new`]).

mod address;
mod claim;
mod connection;
#[cfg(feature = "tls")]
mod cryptography;
mod error;
mod gathering;
mod greeting;
mod keys;
mod link;
mod memory;
mod queue;
mod request;
mod route;
mod script;
mod state;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::{
    Capabilities, Deadline, Error, ErrorKind, Fair, Fencing, LockState, Name, Result,
};
use redis::Client;
use redis::cluster::ClusterClient;
use redis::sentinel::SentinelClient;
use tokio::runtime::Handle;

use claim::RedisClaim;
use keys::Keys;
use link::Link;
use route::Route;
use script::INSPECT;

/// Locks in a Redis or Valkey server. Clones share one connection.
#[derive(Clone, Debug)]
pub struct RedisBackend {
    capabilities: Capabilities,
    link: Arc<Link>,
}

impl RedisBackend {
    /// Connects to what this URL names:
    ///
    /// * `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path/of/socket`: a
    ///   server.
    /// * `redis-cluster://[user:password@]host[:port]?nodes=host:port,…`: a cluster, by the servers
    ///   of it that are named.
    /// * `redis-sentinel://[user:password@]host[:port][/database]?primary=name&nodes=host:port,…`:
    ///   the server that these sentinels take for the primary of that name. User and password are
    ///   the server's.
    ///
    /// With `rediss` for `redis`, by TLS, which takes the feature `tls`.
    ///
    /// # Errors
    /// * `InvalidInput`: the URL is none.
    /// * `Unauthorized`: the server refuses the user, the password, or the channel on which grants
    ///   are told.
    /// * `Misconfigured`: the server is older than Redis 6.2, a replica, a sentinel, or one of a
    ///   cluster although the URL names none; the feature `tls` is off; or there is no tokio
    ///   runtime.
    /// * `Unavailable`: it cannot be reached.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the connection.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::over(address::route(url)?).await
    }

    /// Connects by a client of the `redis` crate.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As for [`connect`](Self::connect).
    pub async fn new(client: Client) -> Result<Self> {
        Self::over(Route::Server(client)).await
    }

    /// Connects to a cluster by a client of the `redis` crate, which must speak RESP3
    /// ([`ClusterClientBuilder::use_protocol`](redis::cluster::ClusterClientBuilder)).
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As for [`connect`](Self::connect).
    pub async fn cluster(client: ClusterClient) -> Result<Self> {
        Self::over(Route::Cluster(client)).await
    }

    /// Connects to the primary that sentinels know, by a client of the `redis` crate.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As for [`connect`](Self::connect).
    pub async fn sentinels(client: SentinelClient) -> Result<Self> {
        Self::over(Route::sentinels(client)).await
    }

    async fn over(route: Route) -> Result<Self> {
        Handle::try_current().map_err(|error| {
            let message = "a connection is made within the tokio runtime that is to serve it";
            Error::new(ErrorKind::Misconfigured, message).with_source(error)
        })?;
        #[cfg(feature = "tls")]
        cryptography::settle();
        let link = Arc::new(Link::new(route));
        link.connect().await?;
        let capabilities = capabilities();
        Ok(Self { capabilities, link })
    }
}

fn capabilities() -> Capabilities {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut capabilities = Capabilities::new("redis", Duration::from_millis(100)..=366 * DAY);
    capabilities.shared = true;
    capabilities.permits = true;
    capabilities.fair = Fair::Yes;
    capabilities.push = true;
    capabilities.ttl_step = Duration::from_micros(1);
    capabilities.fencing = Fencing::ClockAssumed;
    capabilities.may_forget = true;
    capabilities
}

#[async_trait]
impl Backend for RedisBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(RedisClaim::new(&self.link, request)?))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let keys = Keys::of(name);
        let shown = self.link.run(&INSPECT.invocation([&keys], []), by).await?;
        state::of(&shown.value)
    }
}
