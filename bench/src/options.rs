use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::helper::Helper;

/// What locks cost, beside the bare commands of the same client and beside other lock libraries, in
/// one run.
///
/// All contestants take turns, round by round, so that a noisy moment of the machine hits all of
/// them; a figure is the median of the rounds, beside the least and the greatest. Prints a table for
/// each store: how often a second, the waits, and the least share over the greatest; then ratios,
/// other figures, and what is left out and why. Read the ratios: the rest is this machine's.
///
/// Of the memory and SQLite, it also prints bounds, and whether each is kept. The exit status is 1
/// if one is missed, or if distlock failed at something. With `--quick` no bound is judged, since
/// one short round says too little.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// Only these; may be given several times, or as `memory,sqlite`
    #[arg(long = "store", value_enum, value_delimiter = ',')]
    stores: Vec<Store>,

    /// One short round of all, in less than a minute a store: whether it works, not how fast
    #[arg(long)]
    pub(crate) quick: bool,

    /// A folder for report.json, report.md, the plots as SVG, and all of it as a page, index.html
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Without the peers that are built apart, in `peers/`, which takes minutes the first time
    #[arg(long)]
    pub(crate) no_peers: bool,

    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What a process of its own is for.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Holds locks for the bench, until its input ends or it is killed
    #[command(hide = true)]
    Hold(Helper),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Store {
    Memory,
    Sqlite,
    Redis,
    Postgres,
    Etcd,
    ZooKeeper,
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Etcd => "etcd",
            Self::ZooKeeper => "zookeeper",
        }
    }
}

impl Options {
    /// Which to measure.
    pub(crate) fn stores(&self) -> &[Store] {
        match &self.stores[..] {
            [] => Store::value_variants(),
            some => some,
        }
    }

    pub(crate) fn effort(&self) -> Effort {
        match self.quick {
            true => Effort {
                quick: true,
                rounds: 1,
                curve_rounds: 1,
                length: millis(200),
                warm: millis(500),
            },
            false => Effort {
                quick: false,
                rounds: 5,
                curve_rounds: 3,
                length: millis(500),
                warm: millis(8000),
            },
        }
    }
}

/// How much is done for a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Only to see that it works.
    pub(crate) quick: bool,
    /// Of what is in the table.
    pub(crate) rounds: usize,
    /// Of each point of a curve.
    pub(crate) curve_rounds: usize,
    /// Of each round.
    pub(crate) length: Duration,
    /// For how long a server is used before that compiles late what runs often.
    pub(crate) warm: Duration,
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
