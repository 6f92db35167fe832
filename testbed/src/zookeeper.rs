//! ZooKeeper.

mod ensemble;
mod programs;
mod session;

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

pub use ensemble::ZooKeeperEnsemble;

use crate::authority::Identity;
use crate::launch::Launch;
use crate::place::Place;
use crate::port::Port;
use crate::recipe::{Given, Recipe};
use crate::server::Server;
use crate::wait::in_time;

/// One ZooKeeper, by itself or a member of an ensemble. What it has confirmed survives that it is
/// killed, but not that the machine is: it does not wait for its disk. It is found as
/// [`CLASS_PATH`](Self::CLASS_PATH) says, or where Debian's package puts it.
#[derive(Debug, Default)]
pub struct ZooKeeper {
    settings: String,
    identity: Option<Identity>,
    needs_certificate: bool,
    serves_reads: bool,
    /// Where the testbed asks it, if clients need more than a connection to do so.
    own: Option<Port>,
    /// Its number in an ensemble.
    number: Option<usize>,
}

/// What a server is in its ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Alone.
    Standalone,
    /// Decides for the others.
    Leader,
    /// Follows the leader.
    Follower,
    /// Serves reads only, since it has no leader.
    ReadOnly,
    /// Serves nobody, since it has no leader.
    None,
}

impl ZooKeeper {
    /// The environment variable that says where Java finds the program: `/opt/zookeeper/lib/*`.
    pub const CLASS_PATH: &'static str = "DISTLOCK_ZOOKEEPER_CLASS_PATH";
    /// Of the user `super`, who may do everything.
    pub const PASSWORD: &'static str = "open-sesame";
    /// The length of a tick, in milliseconds, unless a setting says otherwise.
    pub const TICK: u64 = 200;

    /// One with short ticks, and sessions of up to a minute.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
            .setting(&format!("tickTime={}", Self::TICK))
            .setting("maxSessionTimeout=60000")
    }

    /// With a line more in its configuration. A later one outdoes an earlier one.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings += line;
        self.settings += "\n";
        self
    }

    /// Speaks TLS, and nothing else, with its clients, as the one whom this names. `ca.pem` in its
    /// folder is whom to trust. Clients need no certificate.
    ///
    /// # Errors
    /// There is no port for the testbed's own use.
    pub fn tls(mut self, identity: Identity) -> Result<Self> {
        self.identity = Some(identity);
        self.own = Some(Port::reserve()?);
        Ok(self)
    }

    /// Lets nobody in without a certificate of the authority of its own.
    #[must_use]
    pub fn client_certificates(mut self) -> Self {
        self.needs_certificate = true;
        self
    }

    /// As a member of an ensemble, goes on with reads while it has no leader.
    #[must_use]
    pub fn reads_without_leader(mut self) -> Self {
        self.serves_reads = true;
        self
    }

    /// Where it can be asked without TLS.
    fn plain_address(&self, place: &Place) -> SocketAddr {
        let own = self.own.as_ref();
        own.map_or_else(|| place.address(), Port::address)
    }

    fn configuration(&self, place: &Place) -> String {
        let (plain, clients) = (self.plain_address(place), place.address());
        let mut configuration = format!(
            "dataDir={}\nclientPortAddress={}\nclientPort={}\nmaxClientCnxns=0\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n",
            place.data().display(),
            plain.ip(),
            plain.port(),
        );
        if self.identity.is_some() {
            let certificate = if self.needs_certificate {
                "need"
            } else {
                "none"
            };
            configuration += &format!(
                "secureClientPortAddress={}\nsecureClientPort={}\nssl.clientAuth={certificate}\n\
                 serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
                 ssl.keyStore.location=own.pem\nssl.trustStore.location=ca.pem\n",
                clients.ip(),
                clients.port(),
            );
        }
        configuration + &self.settings
    }
}

impl Recipe for ZooKeeper {
    const NAME: &'static str = "zookeeper";
    const GIVEN_BY: Option<Given> = Some(Given {
        variable: "DISTLOCK_TEST_ZOOKEEPER_URL",
        port: 2181,
    });

    fn url(&self, place: &Place) -> String {
        let s = self.identity.as_ref().map_or("", |_| "s");
        format!("zookeeper{s}://{}", place.address())
    }

    async fn prepare(&self, place: &Place) -> Result<()> {
        place.folder.empty("data")?;
        if let Some(identity) = &self.identity {
            identity.write(place)?;
            let own = format!("{}{}", identity.key, identity.certificate);
            place.write("own.pem", &own)?;
        }
        if let Some(number) = self.number {
            place.write("data/myid", &number.to_string())?;
        }
        place.write("zoo.cfg", &self.configuration(place))?;
        Ok(())
    }

    fn launch(&self, _place: &Place) -> Result<Launch> {
        Ok(programs::java()
            .argument(format!("-Dreadonlymode.enabled={}", self.serves_reads))
            .argument("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .argument("zoo.cfg"))
    }

    /// A member of an ensemble is there before the ensemble is.
    async fn answers(&self, place: &Place) -> Result<()> {
        let at = self.plain_address(place);
        // It listens there last.
        TcpStream::connect(place.address()).await?;
        match self.number {
            Some(_) => ask(at, "ruok").await.map(drop),
            None => match role(at).await? {
                Role::None => bail!("it does not serve"),
                _ => Ok(()),
            },
        }
    }
}

impl Server<ZooKeeper> {
    /// What the server answers to a word of four letters: `srvr`, `wchp`, `cons`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, word: &str) -> Result<String> {
        ask(self.plain(), word).await
    }

    /// What it is in its ensemble.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn role(&self) -> Result<Role> {
        role(self.plain()).await
    }

    /// How many requests it has received.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn received(&self) -> Result<u64> {
        let told = self.ask("srvr").await?;
        let received = told
            .lines()
            .find_map(|line| line.strip_prefix("Received: "));
        Ok(received.context("no count")?.trim().parse()?)
    }

    /// What ZooKeeper's own `zkCli.sh` prints, if this is what it is to do: `ls /`.
    ///
    /// # Errors
    /// It cannot do that.
    pub async fn command(&self, command: &[&str]) -> Result<String> {
        let launch = programs::java()
            .argument("org.apache.zookeeper.ZooKeeperMain")
            .arguments(&format!("-server {}", self.plain()));
        let launch = command
            .iter()
            .fold(launch, |launch, it| launch.argument(it));
        let mut client = Command::new(&launch.program);
        client.args(&launch.arguments);
        let done = spawn_blocking(move || client.output()).await??;
        let printed = String::from_utf8(done.stdout)?;
        let errors = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{printed}{errors}");
        Ok(printed)
    }

    /// Ends the session of this number as if its client had, and with it the nodes under it.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn end_session(&self, number: i64) -> Result<()> {
        in_time(session::end(self.plain(), number)).await
    }

    fn plain(&self) -> SocketAddr {
        match self.place() {
            Ok(place) => self.recipe().plain_address(place),
            Err(_given) => self.address(),
        }
    }
}

async fn ask(at: SocketAddr, word: &str) -> Result<String> {
    let mut connection = TcpStream::connect(at).await?;
    connection.write_all(word.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    if answer.is_empty() {
        bail!("nothing was answered to {word}");
    }
    Ok(answer)
}

async fn role(at: SocketAddr) -> Result<Role> {
    let told = ask(at, "srvr").await?;
    let mode = told.lines().find_map(|line| line.strip_prefix("Mode: "));
    Ok(match mode {
        Some("standalone") => Role::Standalone,
        Some("leader") => Role::Leader,
        Some("follower") => Role::Follower,
        Some("read-only") => Role::ReadOnly,
        Some(other) => bail!("an unknown mode: {other}"),
        None => Role::None,
    })
}
