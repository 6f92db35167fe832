//! The suite of all promises, on a real server.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{Server, ZooKeeper};
use suite::Started;

static ZOOKEEPER: LazyLock<Started<Server<ZooKeeper>>> =
    LazyLock::new(|| Started::by(|| Server::given_or_started(ZooKeeper::new()), Server::url));

fn main() -> ExitCode {
    suite::run_at(|| ZOOKEEPER.server.url())
}
