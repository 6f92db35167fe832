//! The chores of this repository. Few crates, so that it is built within seconds.

mod check;
mod features;
mod named;
mod needs;
mod programs;
mod servers;
mod steps;
mod test;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use steps::{Steps, cargo};

const HELP: &str = "\
The chores of this repository.

Usage: cargo xtask COMMAND

Commands:
  test      Install what is missing, then run all tests of all packages, documentation included
  check     Formatting, lints, docs, each cargo feature alone, spelling, licences; changes no file
  fix       Format, and apply what clippy suggests
  examples  Run the examples, which check themselves
  mutants   Break the engine in each way that is listed and see that the suite notices, which takes
            ten minutes. With numbers, these ways only. `cases` tells which broken stores are
            noticed by the cases that are not listed; `table` writes docs/mutants.md
  simulate  Make 20,000 runs of the simulation; prints the shortest history of the first that breaks
            a promise
  torture   Long random work on a real store that fails, every event recorded, checked and drawn:
            `--store redis --topology cluster --seconds 600 --seed 1 --out DIR`
  bench     What locks cost beside the bare commands of the same client and beside other libraries:
            `--store redis,etcd --quick --out DIR`
  peers     Show what other lock crates do that they should not. With names, these only; `--list`
            prints the names
  servers   `up` starts one of each server, and prints where they are, until Ctrl-C
  help      Print this

`simulate`, `torture`, `bench` and `peers` take more options: `--help` after one of them prints
them. All steps of a command are taken, also after one has failed; the exit status is then 1.
";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if matches!(arguments[..], ["help" | "--help" | "-h", ..]) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let command: Box<dyn Fn() -> ExitCode> = match arguments[..] {
        ["test"] => Box::new(test::run),
        ["check"] => Box::new(check::run),
        ["fix"] => Box::new(fix),
        ["examples"] => Box::new(examples),
        ["mutants", ref options @ ..] => Box::new(move || mutants(options)),
        ["simulate", ref options @ ..] => Box::new(move || simulate(options)),
        ["torture", ref options @ ..] => Box::new(move || torture(options)),
        ["bench", ref options @ ..] => Box::new(move || bench(options)),
        ["peers", ref options @ ..] => Box::new(move || peers(options)),
        ["servers", "up"] => Box::new(servers::up),
        [] => return misused("a command is missing"),
        ["test" | "check" | "fix" | "examples", extra, ..] => {
            return misused(&format!("unknown argument `{extra}`"));
        }
        ["servers", ..] => return misused("what to do with the servers is `up`"),
        [unknown, ..] => return misused(&format!("unknown command `{unknown}`")),
    };
    if let Err(error) = env::set_current_dir(root()) {
        eprintln!("cannot enter {}: {error}", root().display());
        return ExitCode::FAILURE;
    }
    command()
}

fn fix() -> ExitCode {
    let mut steps = Steps::begin();
    steps.run(&mut cargo(
        "clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged",
    ));
    // Last: what clippy suggests is not always formatted.
    steps.run(&mut cargo("fmt --all"));
    steps.end()
}

fn examples() -> ExitCode {
    let mut steps = Steps::begin();
    steps.run(&mut cargo("run --all-features --example quickstart"));
    steps.run(&mut cargo("run --all-features --example custom_store"));
    steps.end()
}

/// The mutants themselves check what they are told.
fn mutants(options: &[&str]) -> ExitCode {
    let mut steps = Steps::begin();
    steps.run(cargo("run --quiet --package distlock-mutants --").args(options));
    steps.end()
}

/// The simulation itself checks its options.
fn simulate(options: &[&str]) -> ExitCode {
    let mut steps = Steps::begin();
    let mut simulation = cargo("run --release --package distlock-simulation --");
    steps.run(simulation.args(options));
    steps.end()
}

/// The torture itself checks its options.
fn torture(options: &[&str]) -> ExitCode {
    let mut steps = Steps::begin();
    meet_servers(&mut steps, options);
    let mut torture = cargo("run --quiet --package distlock-torture --");
    steps.run(torture.args(options));
    steps.end()
}

/// The measurement itself checks its options.
fn bench(options: &[&str]) -> ExitCode {
    let mut steps = Steps::begin();
    meet_servers(&mut steps, options);
    let mut bench = cargo("run --quiet --release --package distlock-bench --");
    steps.run(bench.args(options));
    steps.end()
}

/// What is shown itself checks its options.
fn peers(options: &[&str]) -> ExitCode {
    let mut steps = Steps::begin();
    meet_servers(&mut steps, options);
    needs::meet(&mut steps, &[needs::OPENSSL]);
    let mut peers = cargo("run --quiet --manifest-path peers/Cargo.toml --package peers-holes --");
    steps.run(peers.args(options));
    steps.end()
}

/// Whoever asks for help, or for a list, needs none of them.
fn meet_servers(steps: &mut Steps, options: &[&str]) {
    if !options
        .iter()
        .any(|option| ["--help", "--list"].contains(option))
    {
        needs::meet(steps, needs::SERVERS);
    }
}

/// The folder of the workspace.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

fn misused(fault: &str) -> ExitCode {
    eprintln!("{fault}\n\n{HELP}");
    ExitCode::from(2)
}
