//! etcd.

mod between;
mod cluster;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity as Shown, TlsOptions};
use tokio::process::Command;

pub use cluster::EtcdCluster;

use crate::authority::Identity;
use crate::clock;
use crate::launch::Launch;
use crate::place::Place;
use crate::port::Port;
use crate::recipe::{Given, Recipe};
use crate::server::Server;

/// One etcd, alone or of a cluster. What it has confirmed survives that it is killed, but not that
/// the machine is: it does not wait for its disk. Started from the program that `DISTLOCK_ETCD`
/// names, or else `etcd`.
#[derive(Debug, Default)]
pub struct Etcd {
    flags: Vec<String>,
    identity: Option<Identity>,
    peers: Option<Peers>,
    has_own_clock: bool,
}

/// How the members of a cluster know each other.
#[derive(Debug)]
pub(crate) struct Peers {
    /// This member's.
    pub(crate) name: String,
    /// Where it listens for the others.
    pub(crate) port: Port,
    /// Where the others find it.
    pub(crate) advertised: SocketAddr,
    /// All of them, as `name=url,…`.
    pub(crate) all: String,
}

impl Etcd {
    /// The environment variable that names the program.
    pub const PROGRAM: &'static str = "DISTLOCK_ETCD";
    /// The environment variable that names the program for operators.
    pub const CONTROL: &'static str = "DISTLOCK_ETCDCTL";

    /// One with the settings of the program, but for what is said above.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a flag more: `--quota-backend-bytes=1000000`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Speaks TLS, and nothing else, to clients, as the one whom this names. `ca.pem` in its folder
    /// is whom to trust.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self.flag("--cert-file=cert.pem").flag("--key-file=key.pem")
    }

    /// Lets nobody in without a certificate of the authority of its own.
    #[must_use]
    pub fn client_certificates(self) -> Self {
        self.flag("--client-cert-auth")
            .flag("--trusted-ca-file=ca.pem")
    }

    /// Has a wall clock of its own, which can be [set](Server::set_clock_ahead), if the program is
    /// linked dynamically: Debian's is, those of the project itself are not.
    #[must_use]
    pub fn own_clock(mut self) -> Self {
        self.has_own_clock = true;
        self
    }

    pub(crate) fn member(mut self, peers: Peers) -> Self {
        self.peers = Some(peers);
        self
    }

    fn scheme(&self) -> &'static str {
        match self.identity {
            Some(_) => "https",
            None => "http",
        }
    }

    /// A client, which shows the certificate of the server itself.
    async fn client(&self, address: SocketAddr, options: ConnectOptions) -> Result<Client> {
        let options = match &self.identity {
            Some(identity) => options.with_tls(
                TlsOptions::new()
                    .ca_certificate(Certificate::from_pem(&identity.authority))
                    .identity(Shown::from_pem(&identity.certificate, &identity.key)),
            ),
            None => options,
        };
        let url = format!("{}://{address}", self.scheme());
        Ok(Client::connect([url], Some(options)).await?)
    }
}

impl Recipe for Etcd {
    const NAME: &'static str = "etcd";
    const GIVEN_BY: Option<Given> = Some(Given {
        variable: "DISTLOCK_TEST_ETCD_URL",
        port: 2379,
    });

    fn url(&self, place: &Place) -> String {
        let scheme = self.identity.as_ref().map_or("etcd", |_| "etcds");
        format!("{scheme}://{}", place.address())
    }

    async fn prepare(&self, place: &Place) -> Result<()> {
        place.folder.remove("data")?;
        if self.has_own_clock {
            clock::prepare_for_go(place)?;
        }
        match &self.identity {
            Some(identity) => identity.write(place),
            None => Ok(()),
        }
    }

    fn launch(&self, place: &Place) -> Result<Launch> {
        let program = std::env::var_os(Self::PROGRAM).unwrap_or_else(|| "etcd".into());
        let client = format!("{}://{}", self.scheme(), place.address());
        let launch = Launch::new(program)
            .arguments("--data-dir=data --unsafe-no-fsync")
            .arguments("--logger=zap --log-outputs=stderr --log-level=warn")
            .argument(format!("--listen-client-urls={client}"))
            .argument(format!("--advertise-client-urls={client}"));
        let launch = match &self.peers {
            // One that is alone needs no port for others, but insists on one: any will do.
            None => launch.arguments("--listen-peer-urls=http://127.0.0.1:0"),
            Some(peers) => launch
                .argument(format!("--name={}", peers.name))
                .argument(format!(
                    "--listen-peer-urls=http://{}",
                    peers.port.address()
                ))
                .argument(format!(
                    "--initial-advertise-peer-urls=http://{}",
                    peers.advertised
                ))
                .argument(format!("--initial-cluster={}", peers.all)),
        };
        let launch = self.flags.iter().fold(launch, Launch::argument);
        Ok(match self.has_own_clock {
            true => clock::behind_shim(launch, place),
            false => launch,
        })
    }

    async fn answers(&self, place: &Place) -> Result<()> {
        let mut client = self.client(place.address(), quick()).await?;
        match client.get("distlock-testbed", None).await {
            // Who is not let in has been answered.
            Err(Error::GRpcStatus(status)) if status.message().contains("user name is empty") => {
                Ok(())
            }
            answer => Ok(answer.map(drop)?),
        }
    }
}

impl Server<Etcd> {
    /// A client that no proxy hinders, without a user.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn client(&self) -> Result<Client> {
        self.recipe().client(self.address(), quick()).await
    }

    /// The program of etcd's own for operators, which speaks to this server: that which
    /// `DISTLOCK_ETCDCTL` names, or else `etcdctl`. It ends with what it returns.
    #[must_use]
    pub fn control(&self) -> Command {
        let program = std::env::var_os(Etcd::CONTROL).unwrap_or_else(|| "etcdctl".into());
        let mut control = Command::new(program);
        let endpoint = format!("{}://{}", self.recipe().scheme(), self.address());
        control
            .env("ETCDCTL_API", "3")
            .env("ETCDCTL_ENDPOINTS", endpoint);
        control.kill_on_drop(true);
        control
    }

    /// The same as this user.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let the user in.
    pub async fn client_of(&self, user: &str, password: &str) -> Result<Client> {
        let options = quick().with_user(user, password);
        self.recipe().client(self.address(), options).await
    }

    /// Lets in nobody from now on but users with their password, `root` being one.
    ///
    /// # Errors
    /// The server does not answer, or does so already.
    pub async fn require_users(&self, password_of_root: &str) -> Result<()> {
        let mut client = self.client().await?;
        client.role_add("root").await?;
        client.user_add("root", password_of_root, None).await?;
        client.user_grant_role("root", "root").await?;
        client.auth_enable().await?;
        Ok(())
    }
}

fn quick() -> ConnectOptions {
    ConnectOptions::new().with_connect_timeout(Duration::from_secs(2))
}
