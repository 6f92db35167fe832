//! The etcd store of [distlock](https://docs.rs/distlock): fair locks with push and strict fencing,
//! for all that reach one etcd cluster.
//!
//! ```no_run
//! use distlock_core::Locks;
//! use distlock_etcd::EtcdBackend;
//!
//! # async fn example() -> distlock_core::Result<()> {
//! let backend = EtcdBackend::connect("etcd://one.example.com?nodes=two.example.com").await?;
//! let locks = Locks::new(backend)?;
//! let guard = locks.lock("nightly").acquire().await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it rests on
//! * **The cluster's quorum.** Nothing is granted without it, and tokens are revisions of the whole
//!   cluster: they grow whatever fails, unless the cluster is restored from a backup or made anew
//!   (`Fencing::Strict`).
//! * **Leases.** Each leader counts the TTL of all leases anew, so that after a crash of a holder
//!   every change of leader makes others wait for up to a TTL more. An operator who revokes a lease
//!   or deletes a key breaks locks; the holder is told at once.
//!
//! # How it works
//! A claim is a key, `namespace/name/kind/id`, under a lease of its client; the order in which keys
//! were made is that of the line, and the revision that made a key is its number. Taking a place
//! and looking at the line is one transaction, so an uncontended acquire is one round trip, and so
//! is a release. What many tasks ask at once for different names goes out together, in one
//! transaction.
//!
//! A claim that has to wait has its name watched, on the one stream of its client. From what is
//! removed it knows when its turn has come: a hand-over costs one push. It sends nothing but the
//! heartbeats of its lease, which all claims of about the same TTL share.
//!
//! A client speaks to one server at a time, and turns to the next when that is gone, has lost its
//! leader, or is silent.
//!
//! # Features
//! `tls`: URLs that begin with `etcds:`, by rustls with ring for its cryptography, and with the
//! authorities that the system trusts or those of `cacert`.

mod address;
mod batch;
mod claim;
mod error;
mod gate;
mod keys;
mod lease;
mod line;
mod link;
mod places;
mod requests;
mod seat;
mod stream;
mod version;
mod waiting;
mod watches;
mod write;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest, Signals};
use distlock_core::session::Sessions;
use distlock_core::{
    Capabilities, Deadline, Error, ErrorKind, Expiry, Fair, Fencing, LockState, Name, Result,
};
use tokio::runtime::Handle;

pub use etcd_client;
use etcd_client::ConnectOptions;

use address::Address;
use claim::EtcdClaim;
use keys::Folder;
use lease::Leases;
use link::Link;
use watches::Watches;

/// Locks in an etcd cluster. Clones share one connection.
#[derive(Clone, Debug)]
pub struct EtcdBackend {
    capabilities: Capabilities,
    sessions: Arc<Sessions<Leases>>,
}

impl EtcdBackend {
    /// Connects to the cluster that this URL names:
    /// `etcd://[user:password@]host[:port][?nodes=host:port,…]`, where `nodes` are further members,
    /// to turn to when the first cannot be had. By TLS it begins with `etcds:`, which takes the
    /// feature `tls`, and may have the options `cacert`, `cert` and `key`: paths of files in PEM
    /// that say whom to trust, and what to show.
    ///
    /// # Errors
    /// * `InvalidInput`: the URL is none, or has an option that is none.
    /// * `Unauthorized`: the server refuses the user or the password.
    /// * `Misconfigured`: the server is older than etcd 3.4, or knows no users; no secure
    ///   connection can be made; the feature `tls` is off; or there is no tokio runtime.
    /// * `Unavailable`: no server can be reached, or they have no leader.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the connection.
    pub async fn connect(url: &str) -> Result<Self> {
        let Address { servers, options } = Address::parsed(url)?;
        Self::new(servers, options).await
    }

    /// Connects to these servers, by `http:` or `https:`, as these options of the `etcd-client`
    /// crate say.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As for [`connect`](Self::connect).
    pub async fn new(servers: Vec<String>, options: ConnectOptions) -> Result<Self> {
        Handle::try_current().map_err(|error| {
            let message = "a connection is made within the tokio runtime that is to serve it";
            Error::new(ErrorKind::Misconfigured, message).with_source(error)
        })?;
        if servers.is_empty() {
            let message = "at least one server has to be named";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let link = Arc::new(Link::new(servers, options));
        let shortest = link.greet().await?;
        let capabilities = capabilities(shortest);
        let watches = Watches::new(&link);
        let sessions = Sessions::new(Leases { link, watches }, &capabilities);
        Ok(Self {
            capabilities,
            sessions: Arc::new(sessions),
        })
    }

    fn store(&self) -> &Leases {
        self.sessions.store()
    }
}

fn capabilities(shortest: Duration) -> Capabilities {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut capabilities = Capabilities::new("etcd", shortest..=366 * DAY);
    capabilities.shared = true;
    capabilities.permits = true;
    capabilities.fair = Fair::Yes;
    capabilities.push = true;
    capabilities.expiry = Expiry::PerSession;
    capabilities.ttl_step = Duration::from_secs(1);
    // A leader looks for leases that have ended twice a second.
    capabilities.slack = Duration::from_secs(1);
    capabilities.fencing = Fencing::Strict;
    capabilities.may_forget = true;
    capabilities
}

#[async_trait]
impl Backend for EtcdBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(EtcdClaim::new(&self.sessions, request)))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let line = requests::look(&self.store().link, &Folder::of(name), by).await?;
        line.state()
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        let watches = &self.store().watches;
        Some(Box::new(watches.monitor(Folder::of(name), signals)))
    }

    async fn close(&self, by: Deadline) {
        self.sessions.close(by).await;
    }
}
