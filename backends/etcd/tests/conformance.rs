//! The suite of all promises, on a real server.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{Etcd, Server};
use suite::Started;

static ETCD: LazyLock<Started<Server<Etcd>>> =
    LazyLock::new(|| Started::by(|| Server::given_or_started(Etcd::new())));

fn main() -> ExitCode {
    suite::run_at(|| ETCD.server.url())
}
