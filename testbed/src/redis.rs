//! Redis, and Valkey, which speaks the same.

mod cluster;
mod pair;
mod sentinel;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use redis::{Client, Cmd, FromRedisValue, cmd};
use url::Url;

pub use cluster::RedisCluster;
pub use pair::RedisPair;
pub use sentinel::{RedisSentinels, Sentinel};

use crate::authority::Identity;
use crate::clock;
use crate::launch::Launch;
use crate::place::Place;
use crate::port::Port;
use crate::recipe::{Given, Recipe};
use crate::server::Server;

/// One Redis. It keeps nothing over a restart unless a setting says so, listens on a Unix socket
/// too, and is started from the program that `DISTLOCK_REDIS_SERVER` names, or else `redis-server`.
#[derive(Debug, Default)]
pub struct Redis {
    settings: String,
    password: Option<String>,
    identity: Option<Identity>,
    has_own_clock: bool,
    /// Where the other members of a cluster reach it; only held.
    _bus: Option<Port>,
}

impl Redis {
    /// The environment variable that names the program.
    pub const PROGRAM: &'static str = "DISTLOCK_REDIS_SERVER";

    /// One with the settings of the program, but for what is said above.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a line more in its configuration: `appendonly yes`, `maxmemory 4mb`, `user me on …`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings += line;
        self.settings += "\n";
        self
    }

    /// Lets nobody in without this password, and shows it to its primary.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.setting(&format!("requirepass {password}\nmasterauth {password}"))
    }

    /// Speaks TLS, and nothing else, on its port and to other servers, as the one whom this names.
    /// `ca.pem` in its folder is whom to trust. Clients need no certificate unless a setting says
    /// `tls-auth-clients yes`.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Has a wall clock of its own, which can be [set](Server::set_clock_ahead).
    #[must_use]
    pub fn own_clock(mut self) -> Self {
        self.has_own_clock = true;
        self
    }

    /// Copies the primary at this address, and serves only reads.
    #[must_use]
    pub fn replica_of(self, primary: SocketAddr) -> Self {
        self.setting(&format!("replicaof {} {}", primary.ip(), primary.port()))
    }

    fn client(&self, place: &Place) -> Result<Client> {
        by_socket(place, self.password.as_deref())
    }
}

impl Recipe for Redis {
    const NAME: &'static str = "redis";
    const GIVEN_BY: Option<Given> = Some(Given {
        variable: "DISTLOCK_TEST_REDIS_URL",
        port: 6379,
    });

    fn url(&self, place: &Place) -> String {
        let scheme = scheme(self.identity.as_ref());
        let password = self.password.as_ref();
        let user = password.map_or_else(String::new, |password| format!(":{password}@"));
        format!("{scheme}://{user}{}", place.address())
    }

    async fn prepare(&self, place: &Place) -> Result<()> {
        if self.has_own_clock {
            clock::prepare(place)?;
        }
        // Without disk and delay, a replica is there at once.
        let configuration = format!(
            "{}save \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n{}",
            listening(place, self.identity.as_ref())?,
            self.settings,
        );
        place.write("redis.conf", &configuration)?;
        Ok(())
    }

    fn launch(&self, place: &Place) -> Result<Launch> {
        let launch = program().argument(place.folder().join("redis.conf"));
        Ok(match self.has_own_clock {
            true => clock::behind_shim(launch, place),
            false => launch,
        })
    }

    async fn answers(&self, place: &Place) -> Result<()> {
        pong(&self.client(place)?).await
    }
}

impl Server<Redis> {
    /// Does a command, over a connection of its own, with all rights: `&["CLIENT", "KILL", …]`.
    ///
    /// # Errors
    /// The server does not answer, or it answers with an error or with something else.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let client = match self.place() {
            Ok(place) => self.recipe().client(place)?,
            Err(_given) => Client::open(self.url())?,
        };
        query(&client, words).await
    }

    /// How clients of the same machine reach it, without TCP.
    ///
    /// # Errors
    /// It was given.
    pub fn socket_url(&self) -> Result<String> {
        let socket = socket(self.place()?);
        Ok(format!("redis+unix://{}", socket.display()))
    }

    /// The part of `INFO` that has this name: `role`, `master_link_status`.
    ///
    /// # Errors
    /// As for [`command`](Self::command), or there is no such part.
    pub async fn info(&self, name: &str) -> Result<String> {
        let info: String = self.command(&["INFO"]).await?;
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let value = lines.find_map(|(key, value)| (key == name).then(|| value.to_owned()));
        value.with_context(|| format!("INFO has no `{name}`"))
    }
}

fn program() -> Launch {
    Launch::new(std::env::var_os(Redis::PROGRAM).unwrap_or_else(|| "redis-server".into()))
}

fn socket(place: &Place) -> PathBuf {
    place.folder().join("redis.sock")
}

/// By the socket, which needs no TLS, and which no proxy breaks.
fn by_socket(place: &Place, password: Option<&str>) -> Result<Client> {
    let mut url = Url::parse("redis+unix:///")?;
    url.set_path(&socket(place).to_string_lossy());
    if let Some(password) = password {
        url.query_pairs_mut().append_pair("pass", password);
    }
    Ok(Client::open(url)?)
}

/// Of the URL of a server that shows this.
fn scheme(shown: Option<&Identity>) -> &'static str {
    shown.map_or("redis", |_| "rediss")
}

/// What tells a server where to listen and where its files are, after having emptied them.
fn listening(place: &Place, shown: Option<&Identity>) -> Result<String> {
    let data = place.folder.empty("data")?;
    let address = place.address();
    let ports = match shown {
        Some(identity) => {
            identity.write(place)?;
            format!(
                "port 0\ntls-port {}\ntls-ca-cert-file ../ca.pem\ntls-cert-file ../cert.pem\n\
                 tls-key-file ../key.pem\ntls-auth-clients no\ntls-replication yes\ntls-cluster yes",
                address.port()
            )
        }
        None => format!("port {}", address.port()),
    };
    Ok(format!(
        "bind {}\n{ports}\nunixsocket {}\ndir {}\n",
        address.ip(),
        socket(place).display(),
        data.display(),
    ))
}

/// One URL for all of these: that of the first, with the hosts of the others as `nodes`.
fn url_of_all(kind: &str, urls: &[String], options: &str) -> String {
    let (scheme, first) = urls[0].split_once("://").unwrap_or_default();
    let host = |url: &String| url.rsplit(['/', '@']).next().map(str::to_owned);
    let nodes: Vec<_> = urls[1..].iter().filter_map(host).collect();
    format!(
        "{scheme}-{kind}://{first}?{options}nodes={}",
        nodes.join(",")
    )
}

async fn query<T: FromRedisValue>(client: &Client, words: &[&str]) -> Result<T> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    Ok(Cmd::new().arg(words).query_async(&mut connection).await?)
}

async fn pong(client: &Client) -> Result<()> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    match cmd("PING").query_async(&mut connection).await {
        // Who is not let in has been answered.
        Err(error) if error.code() == Some("NOAUTH") => Ok(()),
        answer => Ok(answer?),
    }
}
