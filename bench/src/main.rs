//! What distlock costs, beside the bare commands of the same client: `cargo run --release -p
//! distlock-bench`; of Redis with `--store redis`, which prints JSON.
//!
//! All workloads take turns, round by round, so that a noisy moment of the machine hits all of
//! them; the figure is the median of the rounds. Read the ratios, not the microseconds: those are
//! this machine's.

mod bare;
mod holds;
mod pairs;
mod redis;

use std::process::ExitCode;
use std::time::Duration;

use distlock_core::{Locks, Result};
use distlock_memory::MemoryBackend;
use distlock_sqlite::SqliteBackend;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(600);
const TASKS: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::result::Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--store", "redis"] => {
            println!("{:#}", redis::measured().await?);
            return Ok(ExitCode::SUCCESS);
        }
        _ => return Err("what can be measured by itself is `--store redis`".into()),
    }
    // First, while the process is small.
    let hold_bytes = holds::bytes_each(10_000).await?;
    let folder = tempfile::tempdir()?;
    let memory = Locks::new(MemoryBackend::new())?;
    let own_thread = Locks::builder()
        .build_on_own_thread(async || Ok(MemoryBackend::new()))
        .await?;
    let sqlite = Locks::new(SqliteBackend::open(folder.path().join("locks.db")).await?)?;
    let mut bare = bare::Bare::open(&folder.path().join("bare.db")).await?;

    let mut costs = Costs::default();
    for _ in 0..ROUNDS {
        costs.memory.push(pairs::one_task(&memory, ROUND).await?);
        costs
            .own_thread
            .push(pairs::one_task(&own_thread, ROUND).await?);
        costs.bare.push(bare.pairs(ROUND).await?);
        costs.sqlite.push(pairs::one_task(&sqlite, ROUND).await?);
        costs
            .sqlite_many
            .push(pairs::many_tasks(&sqlite, TASKS, ROUND).await?);
    }
    Ok(report(&costs, hold_bytes))
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

fn report(costs: &Costs, hold_bytes: usize) -> ExitCode {
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
    let ratio = |a: &[Duration], b: &[Duration]| median(a).as_secs_f64() / median(b).as_secs_f64();
    let bounds = [
        at_most(
            "memory, one task, in microseconds",
            median(&costs.memory).as_secs_f64() * 1e6,
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
    ];
    if bounds.iter().all(|kept| *kept) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn row(what: &str, times: &[Duration]) {
    let (least, most) = (times.iter().min(), times.iter().max());
    let micros = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e6);
    let middle = median(times).as_secs_f64() * 1e6;
    println!(
        "{what:<42} {middle:>8.1} µs  ({:.1} to {:.1})",
        micros(least),
        micros(most)
    );
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

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The time of one of the `count` things done since `began`.
fn each(began: tokio::time::Instant, count: u32) -> Result<Duration> {
    Ok(began.elapsed() / count.max(1))
}
