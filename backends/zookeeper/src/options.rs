use std::fmt;
use std::time::Duration;

#[cfg(feature = "tls")]
use zookeeper_client::TlsOptions;
use zookeeper_client::{Acls, Client, Connector};

use crate::dating::Ticks;

/// Which ensemble to connect to, and how.
#[derive(Clone)]
pub struct ZooKeeperOptions {
    /// Where its servers are, as the client library reads it.
    pub(crate) servers: String,
    /// Below which node everything is; empty, or a path.
    pub(crate) root: String,
    pub(crate) connector: Connector,
    pub(crate) has_user: bool,
    pub(crate) ticks: Ticks,
    pub(crate) max_session_timeout: Option<Duration>,
}

impl ZooKeeperOptions {
    /// For servers with the settings of ZooKeeper's own example, whoever the client is:
    /// `host:port,host:port/path`. Everything is kept below that path, if there is one.
    #[must_use]
    pub fn new(ensemble: &str) -> Self {
        let (servers, root) = match ensemble.split_once('/') {
            Some((servers, "")) => (servers, String::new()),
            Some((servers, path)) => (servers, format!("/{path}")),
            None => (ensemble, String::new()),
        };
        Self {
            servers: servers.to_owned(),
            root,
            connector: Client::connector(),
            has_user: false,
            ticks: Ticks(Duration::from_secs(2)),
            max_session_timeout: None,
        }
    }

    /// As this user, by the scheme `digest`. Nobody else may touch the nodes of its locks.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        let identity = format!("{name}:{password}");
        self.connector = self.connector.with_auth("digest", identity.as_bytes());
        self.has_user = true;
        self
    }

    /// By TLS, with servers that have a certificate which these options trust.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        use rustls::crypto::{CryptoProvider, ring};

        // With two of them built into the program, the first connection would panic.
        if CryptoProvider::get_default().is_none() {
            // An error means that somebody else was faster.
            let _ = ring::default_provider().install_default();
        }
        self.connector = self.connector.with_tls(options);
        let secure = self.servers.split(',').map(|it| format!("tcp+tls://{it}"));
        self.servers = secure.collect::<Vec<_>>().join(",");
        self
    }

    /// By a connector of the `zookeeper-client` crate, for other ways to say who the client is. Its
    /// time-outs are not used.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> Self {
        self.connector = connector;
        self
    }

    /// The servers' `tickTime`; two seconds unless it is said. What a claim's TTL can be, and how
    /// exactly it is kept, follows from that.
    #[must_use]
    pub fn tick_time(mut self, tick_time: Duration) -> Self {
        self.ticks = Ticks(tick_time);
        self
    }

    /// The servers' `maxSessionTimeout`; twenty ticks unless it is said.
    #[must_use]
    pub fn max_session_timeout(mut self, max_session_timeout: Duration) -> Self {
        self.max_session_timeout = Some(max_session_timeout);
        self
    }

    pub(crate) fn longest_session(&self) -> Duration {
        self.max_session_timeout.unwrap_or(self.ticks.0 * 20)
    }

    /// Who may do what with the nodes of locks.
    pub(crate) fn acls(&self) -> Acls<'static> {
        if self.has_user {
            Acls::creator_all()
        } else {
            Acls::anyone_all()
        }
    }
}

impl fmt::Debug for ZooKeeperOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connector may know a password.
        f.debug_struct("ZooKeeperOptions")
            .field("servers", &self.servers)
            .field("root", &self.root)
            .field("tick_time", &self.ticks.0)
            .finish_non_exhaustive()
    }
}
