//! Makes many runs on all cores; see `cargo xtask simulate --help`.

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use distlock_simulation::{Family, Plan, Run, Setup, Tally, run, shrink};

/// How often the progress is shown where somebody may be looking.
const SHOW: Duration = Duration::from_millis(100);

/// Many runs on all cores. The first that breaks a promise is shortened and printed.
#[derive(Debug, Parser)]
struct Options {
    /// How many
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,

    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,

    /// Over one kind of store only: `queue`, `records`, `sessions` or `blocking`
    #[arg(long)]
    family: Option<Family>,
}

/// What all threads share.
#[derive(Debug)]
struct Progress {
    setup: Setup,
    from: u64,
    seeds: u64,
    began: Instant,
    next: AtomicU64,
    done: AtomicU64,
    failed: AtomicBool,
    tally: Mutex<Tally>,
}

fn main() -> ExitCode {
    let Options {
        from,
        seeds,
        family,
    } = Options::parse();
    let progress = Progress {
        setup: Setup {
            family,
            ..Setup::default()
        },
        from,
        seeds,
        began: Instant::now(),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        tally: Mutex::default(),
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| scope.spawn(|| work(&progress)))
            .collect();
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            show(&progress);
            thread::sleep(SHOW);
        }
    });
    report(progress)
}

fn work(progress: &Progress) {
    let setup = &progress.setup;
    let mut tally = Tally::default();
    while !progress.failed.load(Ordering::Relaxed) {
        let number = progress.next.fetch_add(1, Ordering::Relaxed);
        if number >= progress.seeds {
            break;
        }
        let seed = progress.from + number;
        let run = run(seed, setup);
        tally += Tally::of(&run.history);
        progress.done.fetch_add(1, Ordering::Relaxed);
        if !run.violations.is_empty() && !progress.failed.swap(true, Ordering::Relaxed) {
            tell(seed, &run, setup);
        }
    }
    *progress
        .tally
        .lock()
        .unwrap_or_else(PoisonError::into_inner) += tally;
}

/// Prints a run that breaks a promise, as short as it can be made.
fn tell(seed: u64, run: &Run, setup: &Setup) {
    let (plan, short) = shrink(&Plan::draw(seed, setup), setup, run.violations[0].promise);
    println!("\n{}", short.history);
    println!("{plan}");
    let family = setup.family.map(|family| format!(" --family {family}"));
    let family = family.unwrap_or_default();
    println!("seed {seed} breaks promises; again with --from {seed} --seeds 1{family}:");
    for violation in &run.violations {
        println!("  {violation}");
    }
    println!("as short as it was made, printed above:");
    for violation in &short.violations {
        println!("  {violation}");
    }
}

fn show(progress: &Progress) {
    if std::io::stdout().is_terminal() {
        let (done, seconds) = (progress.done.load(Ordering::Relaxed), seconds(progress));
        print!("\r{done} of {} runs, {seconds:.0} s ", progress.seeds);
        // A line that is not shown is no loss.
        let _ = std::io::stdout().flush();
    }
}

fn report(progress: Progress) -> ExitCode {
    let (done, seconds) = (progress.done.load(Ordering::Relaxed), seconds(&progress));
    let tally = progress.tally.into_inner();
    println!("\r{}", tally.unwrap_or_else(PoisonError::into_inner));
    println!(
        "{done} runs in {seconds:.1} s, {:.0} a second",
        done as f64 / seconds
    );
    if progress.failed.into_inner() {
        return ExitCode::FAILURE;
    }
    println!("every promise was kept");
    ExitCode::SUCCESS
}

fn seconds(progress: &Progress) -> f64 {
    progress.began.elapsed().as_secs_f64()
}
