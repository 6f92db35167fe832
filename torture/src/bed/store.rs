use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use distlock_conformance::history::Effect;
use distlock_testbed::{
    Etcd, EtcdCluster, Postgres, Recipe, Redis, RedisCluster, RedisSentinels, Server, ZooKeeper,
    ZooKeeperEnsemble,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::Harm;
use crate::options::Options;

/// What was started.
#[derive(Debug)]
pub(super) enum Store {
    /// In this process: there is nothing to start.
    Memory,
    Sqlite(TempDir),
    Redis(Server<Redis>),
    /// With a wall clock of its own.
    RedisClock(Server<Redis>),
    RedisCluster(RedisCluster),
    RedisSentinels(Box<RedisSentinels>),
    Postgres(Server<Postgres>),
    PostgresClock(Server<Postgres>),
    Etcd(Server<Etcd>),
    EtcdCluster(Box<EtcdCluster>),
    ZooKeeper(Server<ZooKeeper>),
    ZooKeeperEnsemble(ZooKeeperEnsemble),
}

/// A server, of whatever kind.
#[async_trait]
pub(super) trait Breakable: fmt::Debug + Sync {
    fn listens_at(&self) -> SocketAddr;
    async fn strike(&self, harm: Harm, lasts: Duration) -> Result<()>;
}

#[async_trait]
impl<R: Recipe> Breakable for Server<R> {
    fn listens_at(&self) -> SocketAddr {
        self.address()
    }

    async fn strike(&self, harm: Harm, lasts: Duration) -> Result<()> {
        match harm {
            Harm::Kill | Harm::KillLeader => {
                self.kill().await?;
                sleep(lasts).await;
                self.start().await
            }
            Harm::Wipe => self.restart_empty().await,
            Harm::Pause | Harm::PauseLeader => {
                self.pause().await?;
                sleep(lasts).await;
                self.resume().await
            }
            Harm::Restart => self.restart().await,
            _ => bail!("a server cannot suffer `{harm}` alone"),
        }
    }
}

impl Store {
    pub(super) async fn started(options: &Options) -> Result<Self> {
        let redis = || Redis::new().setting("appendonly yes\nappendfsync no");
        let postgres = || Postgres::new().setting("max_connections = 300");
        let topology = options.topology.as_deref().unwrap_or("");
        Ok(match (options.store.as_str(), topology) {
            ("memory", "" | "one") => Self::Memory,
            ("sqlite", "" | "one") => Self::Sqlite(tempfile::tempdir()?),
            ("redis", "" | "single") => Self::Redis(Server::started(redis()).await?),
            ("redis", "clock") => Self::RedisClock(Server::started(redis().own_clock()).await?),
            ("redis", "cluster") => Self::RedisCluster(RedisCluster::started(redis).await?),
            ("redis", "sentinel") => {
                let sentinels = RedisSentinels::started(3, redis).await?;
                Self::RedisSentinels(Box::new(sentinels))
            }
            ("postgres", "" | "single") => Self::Postgres(Server::started(postgres()).await?),
            ("postgres", "clock") => {
                Self::PostgresClock(Server::started(postgres().own_clock()).await?)
            }
            ("etcd", "" | "single") => Self::Etcd(Server::started(Etcd::new()).await?),
            ("etcd", "cluster") => {
                Self::EtcdCluster(Box::new(EtcdCluster::started(Etcd::new).await?))
            }
            ("zookeeper", "" | "single") => {
                Self::ZooKeeper(Server::started(ZooKeeper::new()).await?)
            }
            ("zookeeper", "ensemble") => {
                Self::ZooKeeperEnsemble(ZooKeeperEnsemble::started(ZooKeeper::new).await?)
            }
            (store, topology) => bail!("there is no store `{store}` of topology `{topology}`"),
        })
    }

    /// Where its members listen, if clients can be had to reach them elsewhere.
    pub(super) fn addresses(&self) -> Option<Vec<SocketAddr>> {
        match self {
            // They tell their clients where to go.
            Self::RedisCluster(_) | Self::RedisSentinels(_) => None,
            // It is the clock that is to be seen.
            Self::RedisClock(_) | Self::PostgresClock(_) => None,
            _ => {
                let members = self.members();
                let addresses = members.iter().map(|member| member.listens_at());
                (!members.is_empty()).then(|| addresses.collect())
            }
        }
    }

    /// How clients reach it.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Memory => String::new(),
            Self::Sqlite(folder) => {
                let file = folder.path().join("locks.db");
                format!("sqlite://{}", file.display())
            }
            Self::RedisClock(server) => server.url(),
            Self::PostgresClock(server) => server.url(),
            Self::RedisCluster(cluster) => cluster.url(),
            Self::RedisSentinels(sentinels) => sentinels.url(),
            _ => self.url_at(&self.addresses().unwrap_or_default()),
        }
    }

    /// How they do if its members were at these addresses.
    pub(super) fn url_at(&self, members: &[SocketAddr]) -> String {
        let hosts: Vec<_> = members.iter().map(ToString::to_string).collect();
        let first = hosts.first().map_or("", String::as_str);
        match self {
            Self::Redis(_) => format!("redis://{first}"),
            Self::Postgres(_) => format!("postgres://postgres@{first}/postgres"),
            Self::Etcd(_) => format!("etcd://{first}"),
            Self::EtcdCluster(_) => format!("etcd://{first}?nodes={}", hosts[1..].join(",")),
            _ => format!(
                "zookeeper://{}?tick_time={}ms&max_session_timeout=1m",
                hosts.join(","),
                ZooKeeper::TICK
            ),
        }
    }

    pub(super) fn members(&self) -> Vec<&dyn Breakable> {
        fn all<R: Recipe>(servers: &[Server<R>]) -> Vec<&dyn Breakable> {
            servers.iter().map(|server| server as _).collect()
        }
        match self {
            Self::Memory | Self::Sqlite(_) => Vec::new(),
            Self::Redis(server) | Self::RedisClock(server) => vec![server],
            Self::RedisCluster(cluster) => all(&cluster.members),
            Self::RedisSentinels(all) => vec![&all.pair.primary, &all.pair.replica],
            Self::Postgres(server) | Self::PostgresClock(server) => vec![server],
            Self::Etcd(server) => vec![server],
            Self::EtcdCluster(cluster) => all(&cluster.members),
            Self::ZooKeeper(server) => vec![server],
            Self::ZooKeeperEnsemble(ensemble) => all(&ensemble.members),
        }
    }

    /// What can be done to its servers that it claims to survive.
    pub(super) fn harms(&self) -> &'static [Harm] {
        use Harm::{
            Kill, KillLeader, MoveLeader, Part, PartLeader, Pause, PauseLeader, Restart, StepClock,
            Wipe,
        };
        match self {
            Self::Memory | Self::Sqlite(_) => &[],
            Self::Redis(_) | Self::Postgres(_) => &[Kill, Wipe, Pause, Restart],
            // Tokens that were given while the clock was ahead are remembered in the data.
            Self::RedisClock(_) | Self::PostgresClock(_) => &[StepClock, StepClock, Kill, Pause],
            // Without its data, a member of a cluster is none any more.
            Self::RedisCluster(_) | Self::Etcd(_) | Self::ZooKeeper(_) => &[Kill, Pause, Restart],
            Self::RedisSentinels(_) => &[KillLeader, PauseLeader, MoveLeader],
            Self::EtcdCluster(_) => &[
                Kill,
                KillLeader,
                Pause,
                PauseLeader,
                Part,
                PartLeader,
                MoveLeader,
                Restart,
            ],
            Self::ZooKeeperEnsemble(_) => &[
                Kill,
                KillLeader,
                Pause,
                PauseLeader,
                Part,
                PartLeader,
                Restart,
            ],
        }
    }

    /// What that does to the store, by what `docs/stores.md` says of it.
    pub(super) fn effect(&self, harm: Harm) -> Effect {
        match (self, harm) {
            // Advisory locks live as long as the server, and no longer than their connections.
            (
                Self::Postgres(_) | Self::PostgresClock(_),
                Harm::Kill | Harm::Wipe | Harm::Restart,
            ) => Effect::Forgets,
            // A clock that is set forward ends what would have ended by then.
            (_, Harm::StepClock) => Effect::Forgets,
            (Self::Redis(_), Harm::Wipe) => Effect::Forgets,
            // A failover forgets what was not copied, and the old primary has to be told of it.
            (Self::RedisSentinels(_), _) => Effect::Splits,
            // Before 3.4.31 and 3.5.13, a leader that was stalled may end leases that live.
            (
                Self::EtcdCluster(_),
                Harm::Pause | Harm::PauseLeader | Harm::Part | Harm::PartLeader,
            )
            | (Self::Etcd(_), Harm::Pause) => Effect::Forgets,
            _ => Effect::Disturbs,
        }
    }

    pub(super) async fn strike(&self, harm: Harm, member: usize, lasts: Duration) -> Result<()> {
        let member = match harm {
            Harm::KillLeader | Harm::PauseLeader | Harm::PartLeader => self.leader().await?,
            _ => member,
        };
        match (self, harm) {
            (Self::EtcdCluster(cluster), Harm::Part | Harm::PartLeader) => {
                cluster.isolate(member);
                sleep(lasts).await;
                cluster.heal().await
            }
            (Self::ZooKeeperEnsemble(ensemble), Harm::Part | Harm::PartLeader) => {
                ensemble.part(member);
                sleep(lasts).await;
                ensemble.heal().await
            }
            (Self::EtcdCluster(cluster), Harm::MoveLeader) => cluster.move_leader(member).await,
            (Self::RedisSentinels(sentinels), _) => fail_over(sentinels, harm).await,
            (Self::RedisClock(server), Harm::StepClock) => step_clock(server, lasts).await,
            (Self::PostgresClock(server), Harm::StepClock) => step_clock(server, lasts).await,
            _ => self.members()[member].strike(harm, lasts).await,
        }
    }

    async fn leader(&self) -> Result<usize> {
        match self {
            Self::EtcdCluster(cluster) => cluster.leader().await,
            Self::ZooKeeperEnsemble(ensemble) => ensemble.leader().await,
            _ => Ok(0),
        }
    }
}

/// By as much as it then stays there: more than a TTL, or less.
async fn step_clock<R: Recipe>(server: &Server<R>, lasts: Duration) -> Result<()> {
    server.set_clock_ahead(lasts.as_secs().max(1).cast_signed())?;
    sleep(lasts).await;
    server.set_clock_ahead(0)
}

/// Has another one become the primary, in order or not.
async fn fail_over(sentinels: &RedisSentinels, harm: Harm) -> Result<()> {
    let old = sentinels.primary().await?;
    match harm {
        Harm::KillLeader => old.kill().await?,
        Harm::PauseLeader => old.pause().await?,
        _ => {
            sentinels.fail_over().await?;
        }
    }
    let new = sentinels.other_primary(old.address()).await?;
    match harm {
        Harm::KillLeader => old.start().await?,
        Harm::PauseLeader => old.resume().await?,
        _ => {}
    }
    // Nobody can take over from one that has no replica yet.
    let copied = async {
        while new.info("connected_slaves").await? != "1" {
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(60), copied)
        .await
        .context("no replica")?
}
