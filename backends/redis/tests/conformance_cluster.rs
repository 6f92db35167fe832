//! The suite of all promises, on a cluster of three.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{Redis, RedisCluster};
use suite::Started;

static CLUSTER: LazyLock<Started<RedisCluster>> =
    LazyLock::new(|| Started::by(|| RedisCluster::started(Redis::new)));

fn main() -> ExitCode {
    suite::run_at(|| CLUSTER.server.url())
}
