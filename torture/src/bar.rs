//! Many runs on many stores, as before a release, and tables of what came of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use distlock_conformance::history::Figures;

use crate::options::Options;
use crate::report::{self, Judgement, Outcome};

/// What is tortured: all that has files or servers.
const TOPOLOGIES: [(&str, &str); 11] = [
    ("sqlite", "one"),
    ("redis", "single"),
    ("redis", "clock"),
    ("redis", "cluster"),
    ("redis", "sentinel"),
    ("postgres", "single"),
    ("postgres", "clock"),
    ("etcd", "single"),
    ("etcd", "cluster"),
    ("zookeeper", "single"),
    ("zookeeper", "ensemble"),
];

/// How many runs go on at once: they wait for most of their time.
const AT_ONCE: usize = 4;

type Topology = (&'static str, &'static str);

/// What came of all runs of one topology.
#[derive(Default)]
struct Sum {
    runs: usize,
    inconclusive: usize,
    violations: usize,
    excused: usize,
    figures: Figures,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let wanted = |(store, topology): &Topology| {
        let is_store = options.store.is_empty() || options.store == *store;
        is_store && options.topology.as_deref().is_none_or(|it| it == *topology)
    };
    let topologies: Vec<_> = TOPOLOGIES.into_iter().filter(wanted).collect();
    ensure!(
        !topologies.is_empty(),
        "no such store and topology; there are {TOPOLOGIES:?}"
    );
    let folder = tempfile::Builder::new().prefix("torture-").tempdir()?;
    let folder = options.out.clone().unwrap_or_else(|| folder.keep());
    println!("histories that break a promise: {}", folder.display());
    let seeds = options.seed..options.seed + options.runs;
    let runs = seeds.flat_map(|seed| topologies.iter().map(move |topology| (*topology, seed)));
    let runs = Mutex::new(runs);
    let next = || lock(&runs).next();
    let sums = Mutex::new(BTreeMap::<Topology, Sum>::new());
    thread::scope(|scope| {
        let workers = (0..AT_ONCE).map(|_| {
            scope.spawn(|| {
                while let Some((topology, seed)) = next() {
                    let judgement = one(options, topology, seed, &folder)?;
                    lock(&sums).entry(topology).or_default().add(judgement);
                }
                anyhow::Ok(())
            })
        });
        let workers: Vec<_> = workers.collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a run that is made does not panic"))
    })?;
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("\n{}\n{}", what_happened(&sums), what_was_broken(&sums));
    Ok(outcome(&sums).code().into())
}

/// Makes one run, in a process of its own, as one would by hand.
fn one(options: &Options, (store, topology): Topology, seed: u64, all: &Path) -> Result<Judgement> {
    let name = format!("{store}-{topology}-{seed}");
    let folder = all.join(&name);
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--store", store, "--topology", topology])
        .args(["--seconds", &options.length().as_secs().to_string()])
        .args(["--seed", &seed.to_string()])
        .args([
            "--ttl",
            &humantime::format_duration(options.ttl).to_string(),
        ])
        .args(["--workers", &options.workers.to_string()])
        .arg("--out")
        .arg(&folder);
    let output = command.output()?;
    let judgement = report::judgement(&folder);
    let judgement = judgement.with_context(|| came_to_nothing(&name, &output))?;
    let code = output.status.code();
    ensure!(
        code == Some(judgement.outcome.code().into()),
        came_to_nothing(&name, &output)
    );
    println!("{name}: {}", judgement.outcome);
    if judgement.outcome != Outcome::Broken {
        fs::remove_dir_all(&folder)?;
    }
    Ok(judgement)
}

fn came_to_nothing(name: &str, output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    format!("{name} could not be made: {errors}")
}

fn outcome(sums: &BTreeMap<Topology, Sum>) -> Outcome {
    if sums.values().any(|sum| sum.violations > 0) {
        Outcome::Broken
    } else if sums.values().any(|sum| sum.inconclusive == sum.runs) {
        Outcome::Inconclusive
    } else {
        Outcome::Kept
    }
}

impl Sum {
    fn add(&mut self, judgement: Judgement) {
        let Judgement { findings, outcome } = judgement;
        self.runs += 1;
        self.inconclusive += usize::from(outcome == Outcome::Inconclusive);
        self.violations += findings.violations.len();
        self.excused += findings.excused.len();
        let (sum, run) = (&mut self.figures, findings.figures);
        sum.grants += run.grants;
        sum.handovers += run.handovers;
        sum.losses += run.losses;
        sum.killed += run.killed;
        sum.pauses += run.pauses;
        sum.fenced += run.fenced;
        sum.calm += run.calm;
        sum.longest_takeover = sum.longest_takeover.max(run.longest_takeover);
        sum.longest_notice = sum.longest_notice.max(run.longest_notice);
        for (kind, times) in run.faults {
            // That all of them begin is none.
            if kind == "start" {
                continue;
            }
            *sum.faults.entry(kind).or_default() += times;
        }
    }
}

fn what_happened(sums: &BTreeMap<Topology, Sum>) -> String {
    let mut table =
        "| store | runs | granted | hand-overs | workers killed, stopped | losses told \
                     | fenced off | longest takeover | longest notice | without faults | broken \
                     | excused | too little |\n"
            .to_owned();
    table += &rule(13);
    for ((store, topology), sum) in sums {
        let Figures {
            grants,
            handovers,
            losses,
            killed,
            pauses,
            fenced,
            calm,
            longest_takeover,
            longest_notice,
            ..
        } = &sum.figures;
        let Sum {
            runs,
            inconclusive,
            violations,
            excused,
            ..
        } = sum;
        table += &format!(
            "| {store} {topology} | {runs} | {grants} | {handovers} | {killed}, {pauses} | {losses} \
             | {fenced} | {longest_takeover:.1?} | {longest_notice:.0?} | {calm:.0?} | {violations} \
             | {excused} | {inconclusive} |\n"
        );
    }
    table
}

/// How often each thing was broken.
fn what_was_broken(sums: &BTreeMap<Topology, Sum>) -> String {
    let of = |sum: &Sum| sum.figures.faults.clone();
    let kinds: BTreeSet<_> = sums.values().flat_map(|sum| of(sum).into_keys()).collect();
    let stores = sums
        .keys()
        .map(|(store, topology)| format!(" {store} {topology} |"));
    let mut table = format!("| fault |{}\n", stores.collect::<String>());
    table += &rule(1 + sums.len());
    for kind in kinds {
        let times = sums.values().map(|sum| match of(sum).get(&kind) {
            Some(times) => format!(" {times} |"),
            None => "  |".to_owned(),
        });
        table += &format!("| {kind} |{}\n", times.collect::<String>());
    }
    table
}

fn rule(columns: usize) -> String {
    format!("|{}\n", " --- |".repeat(columns))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
