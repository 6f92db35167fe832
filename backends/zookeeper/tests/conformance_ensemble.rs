//! The suite of all promises, on an ensemble of three servers.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{ZooKeeper, ZooKeeperEnsemble};
use suite::Started;

static ENSEMBLE: LazyLock<Started<ZooKeeperEnsemble>> = LazyLock::new(|| {
    Started::by(
        || ZooKeeperEnsemble::started(ZooKeeper::new),
        ZooKeeperEnsemble::url,
    )
});

fn main() -> ExitCode {
    suite::run_at(|| ENSEMBLE.server.url())
}
