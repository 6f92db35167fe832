use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use redis::FromRedisValue;

use super::{Redis, RedisPair, by_socket, listening, pong, program, query, scheme, url_of_all};
use crate::authority::Identity;
use crate::launch::Launch;
use crate::place::Place;
use crate::recipe::Recipe;
use crate::server::Server;
use crate::wait::until;

/// A primary and a replica, and sentinels that promote the replica when the primary is gone.
#[derive(Debug)]
pub struct RedisSentinels {
    /// Those that are watched; who is primary may change.
    pub pair: RedisPair,
    /// Those that watch.
    pub sentinels: Vec<Server<Sentinel>>,
}

/// One that watches over a primary. Most of them have to agree before they act.
#[derive(Debug)]
pub struct Sentinel {
    primary: SocketAddr,
    password: Option<String>,
    identity: Option<Identity>,
    quorum: usize,
}

impl RedisSentinels {
    /// The name of the primary among the sentinels.
    pub const NAME: &'static str = "distlock";

    /// So many sentinels, and those that they watch, with these settings, once all know each other.
    ///
    /// # Errors
    /// As for [`Server::started`].
    pub async fn started(sentinels: usize, recipe: impl Fn() -> Redis) -> Result<Self> {
        let mut all = Self {
            pair: RedisPair::started(recipe).await?,
            sentinels: Vec::with_capacity(sentinels),
        };
        for _ in 0..sentinels {
            let primary = all.pair.primary.recipe();
            let sentinel = Sentinel {
                primary: all.pair.primary.address(),
                password: primary.password.clone(),
                identity: primary.identity.clone(),
                quorum: sentinels / 2 + 1,
            };
            all.sentinels.push(Server::started(sentinel).await?);
        }
        all.acquainted().await?;
        Ok(all)
    }

    /// How clients reach all sentinels.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }

    /// How clients reach the primary by asking the sentinels, in one URL.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.pair.primary.recipe().password.as_ref();
        let user = password.map_or_else(String::new, |password| format!(":{password}@"));
        let primary = format!("primary={}&", Self::NAME);
        let url = url_of_all("sentinel", &self.urls(), &primary);
        url.replacen("://", &format!("://{user}"), 1)
    }

    /// Who is primary, as all sentinels say that answer, and as it says itself.
    ///
    /// # Errors
    /// They do not agree.
    pub async fn primary(&self) -> Result<&Server<Redis>> {
        let mut named = Vec::new();
        for sentinel in &self.sentinels {
            named.extend(sentinel.primary().await);
        }
        let address = *named.first().context("no sentinel answers")?;
        ensure!(
            named.iter().all(|other| *other == address),
            "they name {named:?}"
        );
        let mut servers = [&self.pair.primary, &self.pair.replica].into_iter();
        let primary = servers.find(|server| server.address() == address);
        let primary = primary.with_context(|| format!("nobody is at {address}"))?;
        let role = primary.info("role").await?;
        ensure!(role == "master", "{address} is a {role}");
        Ok(primary)
    }

    /// Waits until another one is primary than the one at this address.
    ///
    /// # Errors
    /// There is none.
    pub async fn other_primary(&self, than: SocketAddr) -> Result<&Server<Redis>> {
        until("another primary", || async {
            let primary = self.primary().await?;
            ensure!(primary.address() != than, "it is still {than}");
            Ok(primary)
        })
        .await
    }

    /// Has the replica promoted although the primary is well, and waits for that.
    ///
    /// # Errors
    /// The sentinels refuse.
    pub async fn fail_over(&self) -> Result<&Server<Redis>> {
        let old = self.primary().await?.address();
        let first = self.sentinels.first().context("there are no sentinels")?;
        let () = first.ask("FAILOVER").await?;
        self.other_primary(old).await
    }

    /// Waits until each sentinel knows the others, and knows enough of the replica to promote it.
    async fn acquainted(&self) -> Result<()> {
        for sentinel in &self.sentinels {
            until("the sentinels to know all", || async {
                let others: Vec<Facts> = sentinel.ask("SENTINELS").await?;
                ensure!(others.len() + 1 == self.sentinels.len(), "{others:?}");
                let replicas: Vec<Facts> = sentinel.ask("REPLICAS").await?;
                let [replica] = &replicas[..] else {
                    bail!("there are {} replicas", replicas.len());
                };
                let link = replica.get("master-link-status").map(String::as_str);
                ensure!(link == Some("ok"), "the link is {link:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// What a sentinel knows of somebody.
type Facts = HashMap<String, String>;

impl Server<Sentinel> {
    /// Does a command, over a connection of its own.
    ///
    /// # Errors
    /// The sentinel does not answer, or it answers with an error or with something else.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        query(&by_socket(self.place()?, None)?, words).await
    }

    /// Where it says that the primary is.
    async fn primary(&self) -> Result<SocketAddr> {
        let (host, port): (String, u16) = self.ask("GET-MASTER-ADDR-BY-NAME").await?;
        Ok(SocketAddr::new(host.parse()?, port))
    }

    async fn ask<T: FromRedisValue>(&self, what: &str) -> Result<T> {
        self.command(&["SENTINEL", what, RedisSentinels::NAME])
            .await
    }
}

impl Recipe for Sentinel {
    const NAME: &'static str = "sentinel";

    fn url(&self, place: &Place) -> String {
        format!("{}://{}", scheme(self.identity.as_ref()), place.address())
    }

    async fn prepare(&self, place: &Place) -> Result<()> {
        let (name, primary) = (RedisSentinels::NAME, self.primary);
        let password = self.password.as_ref().map_or_else(String::new, |password| {
            format!("sentinel auth-pass {name} {password}\n")
        });
        // The file is in the data folder: a sentinel keeps in it what it learns.
        let configuration = format!(
            "{}sentinel monitor {name} {} {} {}\n\
             sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n{password}",
            listening(place, self.identity.as_ref())?,
            primary.ip(),
            primary.port(),
            self.quorum,
        );
        place.write("data/sentinel.conf", &configuration)?;
        Ok(())
    }

    fn launch(&self, place: &Place) -> Result<Launch> {
        let configuration = place.data().join("sentinel.conf");
        Ok(program().argument(configuration).argument("--sentinel"))
    }

    async fn answers(&self, place: &Place) -> Result<()> {
        pong(&by_socket(place, None)?).await
    }
}
