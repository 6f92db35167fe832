//! The suite of all promises, on a cluster of three members.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{Etcd, EtcdCluster};
use suite::Started;

static CLUSTER: LazyLock<Started<EtcdCluster>> =
    LazyLock::new(|| Started::by(|| EtcdCluster::started(Etcd::new)));

fn main() -> ExitCode {
    suite::run_at(|| CLUSTER.server.url())
}
