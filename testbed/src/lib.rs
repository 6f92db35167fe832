//! Starts real lock servers for tests and measurements, breaks them, and leaves none behind.
//!
//! ```no_run
//! use distlock_testbed::{Redis, Server};
//!
//! # async fn example() -> anyhow::Result<()> {
//! let redis = Server::started(Redis::new().setting("appendonly yes")).await?;
//! let proxy = redis.proxy().await?;
//! let url = redis.url_through(&proxy);
//! // Connect to the URL; then:
//! proxy.black_hole();
//! redis.kill().await?;
//! redis.start().await?;
//! proxy.heal();
//! # Ok(())
//! # }
//! ```
//!
//! A [`Recipe`] says what to start: [`Redis`], [`Postgres`], [`PgBouncer`], [`Etcd`],
//! [`ZooKeeper`]. A [`Server`] is what was started, and has the same ways to be broken for all of
//! them. [`RedisPair`], [`RedisCluster`], [`RedisSentinels`], [`PostgresPair`], [`EtcdCluster`] and
//! [`ZooKeeperEnsemble`] are several that know each other. A [`Proxy`] breaks the network in front
//! of one of them. Of those that elect a leader among themselves, etcd's and ZooKeeper's, two at a
//! time run in a process; who asks for another waits.
//!
//! Servers listen on ports of the loopback interface that are reserved for them, and keep their
//! files in temporary folders. They end with the [`Server`], or with the process, however that
//! ends: on return, on panic, on Ctrl-C, and when it is killed.
//!
//! For Linux: what a server has started is looked up in `/proc`.

mod authority;
mod clock;
mod etcd;
mod folder;
mod launch;
mod owner;
mod place;
mod port;
mod postgres;
mod process;
mod proxy;
mod recipe;
mod redis;
mod room;
mod scratch;
mod server;
mod tree;
mod wait;
mod zookeeper;

pub use authority::{Authority, Identity};
pub use etcd::{Etcd, EtcdCluster};
pub use launch::Launch;
pub use place::Place;
pub use port::Port;
pub use postgres::{PgBouncer, PoolMode, Postgres, PostgresPair, Programs};
pub use proxy::{Proxy, Way};
pub use recipe::{Given, Recipe};
pub use redis::{Redis, RedisCluster, RedisPair, RedisSentinels, Sentinel};
pub use server::Server;
pub use zookeeper::{Role, ZooKeeper, ZooKeeperEnsemble};
