use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Long random work on a real store that fails, every event recorded, checked and drawn.
///
/// The exit status is 0 if every promise was kept, 1 if not, and 2 if so little happened that
/// nothing can be said, or the run could not be made.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// `memory`, `sqlite`, `redis`, `postgres`, `etcd` or `zookeeper`
    #[arg(
        long,
        required_unless_present_any = ["check", "release_bar"],
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) store: String,

    /// One server by default, `single`; of redis also `cluster`, `sentinel` and `clock`, of postgres
    /// `clock`, of etcd `cluster`, of zookeeper `ensemble`
    #[arg(long)]
    pub(crate) topology: Option<String>,

    /// For how long things are broken: 60 by default, and 12 in each run of a release's
    #[arg(long = "seconds", value_parser = seconds)]
    length: Option<Duration>,

    /// From which all is drawn; another each time by default
    #[arg(long, default_value_t = fastrand::u64(..1_000_000), hide_default_value = true)]
    pub(crate) seed: u64,

    /// Of the locks, such as `4s`
    #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,

    /// Processes that lock
    #[arg(long, default_value_t = 4)]
    pub(crate) workers: u32,

    /// The folder for the history and its picture
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,

    /// The number of a mutant, a store that is broken, in place of the memory
    #[arg(long)]
    pub(crate) mutant: Option<u32>,

    /// Check and draw the history in this folder, instead of making one
    #[arg(long, value_name = "DIR")]
    pub(crate) check: Option<PathBuf>,

    /// Make many runs, as before a release, of all stores and topologies, or of those that `--store`
    /// and `--topology` name, with seeds from `--seed` on; then print tables of what came of them.
    /// Histories are kept of those that break a promise
    #[arg(long)]
    pub(crate) release_bar: bool,

    /// How many of each that is
    #[arg(long, default_value_t = 300, requires = "release_bar")]
    pub(crate) runs: u64,
}

impl Options {
    /// For how long things are broken.
    pub(crate) fn length(&self) -> Duration {
        let usual = if self.release_bar { 12 } else { 60 };
        self.length.unwrap_or(Duration::from_secs(usual))
    }
}

fn seconds(value: &str) -> Result<Duration, std::num::ParseIntError> {
    value.parse().map(Duration::from_secs)
}
