//! The ZooKeeper store of [distlock](https://docs.rs/distlock): locks in ephemeral sequential
//! nodes, with fencing tokens and fair waiting.
//!
//! ```no_run
//! use distlock_core::Locks;
//! use distlock_zookeeper::ZooKeeperBackend;
//!
//! # async fn example() -> distlock_core::Result<()> {
//! let backend = ZooKeeperBackend::connect("zookeeper://one:2181,two:2181,three:2181").await?;
//! let locks = Locks::new(backend)?;
//! let guard = locks.lock("nightly").acquire().await?;
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it rests on
//! * **ZooKeeper 3.6 or newer**, alone or an ensemble. It forgets nothing unless most of its
//!   servers lose their data, or an operator removes nodes.
//! * **Its tick.** The servers' `tickTime` is said by [`ZooKeeperOptions::tick_time`]; it has to be
//!   at least what it is. A server hears from its leader twice a tick.
//!
//! # How it works
//! A claim is an ephemeral node, which the server numbers, in the folder of its name:
//! `/namespace/name/exclusive-…-0000000007`. It holds once nobody before it is in the way. To make
//! the node and to list all goes out together, so that an uncontended acquire is one round trip; and
//! while nobody else comes to a name, the number of the node says so without a list. Who has to
//! wait watches the node before it, or as many as there are permits. The number of a grant is that
//! of the transaction that made the node.
//!
//! Claims of one TTL stand under one session. What a follower answers by itself says nothing about
//! the session, which the leader may have ended; so the heartbeat is a write, and it proves no more
//! than that the leader has heard what the follower had answered some time before. The time-out of
//! a session is that much longer than the TTL of its claims.

mod address;
mod claim;
mod dating;
mod details;
mod ensemble;
mod error;
mod folder;
mod inspection;
mod line;
mod node;
mod nursery;
mod options;
mod quiet;
mod session;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::backend::{Backend, Claim, ClaimRequest};
use distlock_core::session::{PerRuntime, Sessions};
use distlock_core::{
    Capabilities, Deadline, Error, ErrorKind, Expiry, Fair, Fencing, LockState, Name, Result,
};

pub use options::ZooKeeperOptions;
pub use zookeeper_client;

use claim::ZooKeeperClaim;
use ensemble::Ensemble;

/// Locks in a ZooKeeper ensemble. Clones share their sessions.
#[derive(Clone, Debug)]
pub struct ZooKeeperBackend {
    capabilities: Capabilities,
    /// Those that claims of one runtime share.
    sessions: Arc<PerRuntime<Sessions<Ensemble>>>,
}

/// How long it may take to be let in.
const CONNECTING: Duration = Duration::from_secs(10);

impl ZooKeeperBackend {
    /// Connects to the ensemble that this URL names:
    /// `zookeeper://[user:password@]host[:port],…[/path]`. Options may follow: `tick_time` and
    /// `max_session_timeout`, as [`ZooKeeperOptions`] has them. With `zookeepers:`, by TLS, `cacert`
    /// is the file, in PEM, of the authorities to trust, and `cert` and `key` are those of what to
    /// show to servers that ask for a certificate.
    ///
    /// # Errors
    /// * As for [`new`](Self::new).
    /// * `InvalidInput`: the URL is none.
    /// * `Misconfigured`: a file cannot be read or used, or the cargo feature `tls` is off.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the connection.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::new(address::options(url)?).await
    }

    /// Connects as these options say.
    ///
    /// # Errors
    /// * `InvalidInput`: the options are not such as a server can have.
    /// * `Unauthorized`: the server does not let this user in.
    /// * `Misconfigured`: there is no tokio runtime.
    /// * `Unavailable`: no server can be reached, and by TLS believed, that has a quorum.
    ///
    /// # Cancel safety
    /// As for [`connect`](Self::connect).
    pub async fn new(options: ZooKeeperOptions) -> Result<Self> {
        let capabilities = capabilities(&options)?;
        let of_all = capabilities.clone();
        let sessions =
            PerRuntime::new(move || Sessions::new(Ensemble::new(options.clone()), &of_all));
        let by = Deadline::within(CONNECTING);
        sessions.get()?.store().observer(by).await?;
        Ok(Self {
            capabilities,
            sessions: Arc::new(sessions),
        })
    }
}

fn capabilities(options: &ZooKeeperOptions) -> Result<Capabilities> {
    let ticks = options.ticks;
    let shortest = ticks.0;
    let longest = options.longest_session().saturating_sub(ticks.lag());
    if shortest.is_zero() || longest < shortest {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a server's tick is longer than no time, and its longest session than three ticks",
        ));
    }
    let mut capabilities = Capabilities::new("zookeeper", shortest..=longest);
    capabilities.shared = true;
    capabilities.permits = true;
    capabilities.fair = Fair::Yes;
    capabilities.push = true;
    capabilities.expiry = Expiry::PerSession;
    capabilities.slack = ticks.slack();
    capabilities.fencing = Fencing::Strict;
    capabilities.may_forget = true;
    Ok(capabilities)
}

#[async_trait]
impl Backend for ZooKeeperBackend {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(ZooKeeperClaim::new(
            &self.sessions.get()?,
            request,
        )))
    }

    async fn inspect(&self, name: &Name, by: Deadline) -> Result<LockState> {
        let sessions = self.sessions.get()?;
        let store = sessions.store();
        let client = store.observer(by).await?;
        inspection::inspect(&client, &store.folder(name), by).await
    }

    async fn close(&self, by: Deadline) {
        if let Ok(sessions) = self.sessions.get() {
            sessions.close(by).await;
            sessions.store().close_observer().await;
        }
    }
}
