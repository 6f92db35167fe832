//! Makes many runs on all cores: `--seeds N` runs, from seed `--from S` on, and prints the history
//! of the first that breaks a promise.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use distlock_simulation::{Run, Setup, run};

/// How many runs there are between two reports of progress.
const REPORT: u64 = 10_000;

/// What all threads share.
#[derive(Debug, Default)]
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    grants: AtomicU64,
    failed: AtomicBool,
}

fn main() -> ExitCode {
    let (from, seeds) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\nusage: distlock-simulation [--seeds N] [--from S]");
            return ExitCode::FAILURE;
        }
    };
    let began = Instant::now();
    let progress = Progress::default();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| work(from, seeds, &progress, began));
        }
    });
    report(&progress, began);
    if progress.failed.into_inner() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn arguments() -> Result<(u64, u64), String> {
    let (mut from, mut seeds) = (0, 10_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().unwrap_or_default();
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{argument} takes a number, not `{value}`"))
        };
        match argument.as_str() {
            "--seeds" => seeds = number()?,
            "--from" => from = number()?,
            _ => return Err(format!("there is no option {argument}")),
        }
    }
    Ok((from, seeds))
}

fn work(from: u64, seeds: u64, progress: &Progress, began: Instant) {
    while !progress.failed.load(Ordering::Relaxed) {
        let number = progress.next.fetch_add(1, Ordering::Relaxed);
        if number >= seeds {
            return;
        }
        let seed = from + number;
        let run = run(seed, &Setup::default());
        let grants = u64::try_from(run.history.grants()).unwrap_or(u64::MAX);
        progress.grants.fetch_add(grants, Ordering::Relaxed);
        if !run.violations.is_empty() && !progress.failed.swap(true, Ordering::Relaxed) {
            tell(seed, &run);
        }
        if (progress.done.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(REPORT) {
            report(progress, began);
        }
    }
}

fn tell(seed: u64, run: &Run) {
    println!("{}", run.history);
    println!("seed {seed} breaks promises; again with --from {seed} --seeds 1:");
    for violation in &run.violations {
        println!("  {violation}");
    }
}

fn report(progress: &Progress, began: Instant) {
    let done = progress.done.load(Ordering::Relaxed);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{done} runs, {} grants, {seconds:.1} s, {:.0} runs a second",
        progress.grants.load(Ordering::Relaxed),
        done as f64 / seconds
    );
}
