//! What distlock costs, beside the bare commands of the same client; see `cargo xtask bench --help`.
//!
//! All workloads take turns, round by round, so that a noisy moment of the machine hits all of
//! them; the figure is the median of the rounds. Read the ratios, not the microseconds: those are
//! this machine's.

mod bare;
mod etcd;
mod figures;
mod holds;
mod postgres;
mod redis;
mod work;
mod zookeeper;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use distlock_core::Locks;
use distlock_memory::MemoryBackend;
use distlock_sqlite::SqliteBackend;

use figures::{micros, ratio};
use work::apart;

const ROUNDS: usize = 7;
/// How many of one client work at once, on a name each.
const TASKS: usize = 64;
/// How many clients want one name.
const CONTENDERS: usize = 16;

/// What locks cost beside the bare commands of the same client, in one run.
#[derive(Debug, Parser)]
struct Options {
    /// A store with a server, of which JSON is printed; the others by default
    #[arg(long, value_enum)]
    store: Option<Store>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "lower")]
enum Store {
    Etcd,
    Postgres,
    Redis,
    ZooKeeper,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let measured = match Options::parse().store {
        None => return embedded().await,
        Some(Store::Etcd) => etcd::measured().await?,
        Some(Store::Postgres) => postgres::measured().await?,
        Some(Store::Redis) => redis::measured().await?,
        Some(Store::ZooKeeper) => zookeeper::measured().await?,
    };
    println!("{measured:#}");
    Ok(ExitCode::SUCCESS)
}

/// Of the stores without a server.
async fn embedded() -> Result<ExitCode> {
    // First, while the process is small.
    let hold_bytes = holds::bytes_each(&Locks::new(MemoryBackend::new())?, 10_000).await?;
    let burst = holds::renewal_burst(10_000).await?;
    let folder = tempfile::tempdir()?;
    let memory = Locks::new(MemoryBackend::new())?;
    let own_thread = Locks::builder()
        .build_on_own_thread(async || Ok(MemoryBackend::new()))
        .await?;
    let sqlite = Locks::new(SqliteBackend::open(folder.path().join("locks.db")).await?)?;
    let bare = bare::Bare::open(&folder.path().join("bare.db")).await?;

    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        costs.memory.push(apart(&memory, 1).await?.each);
        costs.own_thread.push(apart(&own_thread, 1).await?.each);
        costs.bare.push(bare.pairs().await?.each);
        costs.sqlite.push(apart(&sqlite, 1).await?.each);
        costs.sqlite_many.push(apart(&sqlite, TASKS).await?.each);
    }
    Ok(report(&costs, hold_bytes, burst))
}

/// The time of one acquire and release, or of its bare counterpart, a round each.
#[derive(Default)]
struct Costs {
    memory: Vec<Duration>,
    own_thread: Vec<Duration>,
    bare: Vec<Duration>,
    sqlite: Vec<Duration>,
    sqlite_many: Vec<Duration>,
}

fn report(costs: &Costs, hold_bytes: usize, burst: f64) -> ExitCode {
    println!("acquire + release, median of {ROUNDS} rounds (fastest to slowest)\n");
    row("memory, one task", &costs.memory);
    row("memory on its own thread, one task", &costs.own_thread);
    row("sqlite: two bare update transactions", &costs.bare);
    row("sqlite, one task", &costs.sqlite);
    row(
        &format!("sqlite, {TASKS} tasks on {TASKS} names"),
        &costs.sqlite_many,
    );
    println!("\nbounds\n");
    let bounds = [
        at_most(
            "memory, one task, in microseconds",
            micros(&costs.memory),
            20.0,
        ),
        at_most(
            "sqlite, one task / two bare transactions",
            ratio(&costs.sqlite, &costs.bare),
            2.0,
        ),
        at_least(
            "sqlite, 64 tasks on 64 names / one task, rates",
            ratio(&costs.sqlite, &costs.sqlite_many),
            4.0,
        ),
        at_most(
            "memory of one of 10,000 holds, in bytes",
            hold_bytes as f64,
            4096.0,
        ),
        // Spread over a quarter of the time between two it is 4; without that, 7 on two cores.
        at_most("busiest time of 10,000 renewals / average", burst, 6.0),
    ];
    if bounds.iter().all(|kept| *kept) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn row(what: &str, times: &[Duration]) {
    let all = times.iter().map(Duration::as_secs_f64);
    let (least, most) = all.fold((f64::MAX, 0.0_f64), |(least, most), time| {
        (least.min(time), most.max(time))
    });
    let (middle, least, most) = (micros(times), least * 1e6, most * 1e6);
    println!("{what:<42} {middle:>8.1} µs  ({least:.1} to {most:.1})");
}

fn at_most(what: &str, value: f64, bound: f64) -> bool {
    bounded(what, value, "at most", bound, value <= bound)
}

fn at_least(what: &str, value: f64, bound: f64) -> bool {
    bounded(what, value, "at least", bound, value >= bound)
}

fn bounded(what: &str, value: f64, relation: &str, bound: f64, kept: bool) -> bool {
    let verdict = if kept { "kept" } else { "MISSED" };
    println!("{what:<48} {value:>8.2}  {relation} {bound}: {verdict}");
    kept
}
