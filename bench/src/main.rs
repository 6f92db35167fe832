//! What distlock costs, beside the bare commands of the same client and beside its peers; see
//! `cargo xtask bench --help`.

mod contestant;
mod cpu;
mod distlock;
mod extras;
mod helper;
mod measure;
mod options;
mod pages;
mod peers;
mod plan;
mod plots;
mod ratio;
mod report;
mod stores;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::Value;

use contestant::{Contestant, here};
use distlock::Distlock;
use options::{Effort, Options, Role, Store};
use peers::Peers;
use plan::Curve;
use ratio::{DISTLOCK, Ratios};
use report::{CurveReport, Line, Report, StoreReport};
use stores::Arena;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some(Role::Hold(helper)) = options.role {
        helper.run().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let (effort, peers) = (options.effort(), peers(&options).await);
    let mut report = Report {
        processors: std::thread::available_parallelism()?.get(),
        quick: effort.quick,
        rounds: effort.rounds,
        round_millis: effort.length.as_millis(),
        no_peers: peers.as_ref().err().cloned(),
        stores: Vec::new(),
        failed: BTreeMap::new(),
    };
    if let Some(why) = &report.no_peers {
        println!("Without the peers that are built apart: {why}.\n");
    }
    for store in options.stores() {
        match measured(*store, effort, peers.as_ref().ok()).await {
            Ok(measured) => {
                println!("{}({} s)\n", pages::of_store(&measured), measured.seconds);
                report.stores.push(measured);
            }
            Err(fault) => {
                eprintln!("{} failed: {fault:?}", store.name());
                report.failed.insert(store.name(), format!("{fault:#}"));
            }
        }
    }
    if let Some(folder) = &options.out {
        pages::write(&report, folder).with_context(|| folder.display().to_string())?;
        println!("Written to {}", folder.display());
    }
    Ok(match report.is_well() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Those that are built apart, or why there are none.
async fn peers(options: &Options) -> Result<Peers, String> {
    let needs = |store: &Store| matches!(store, Store::Redis | Store::Postgres);
    if options.no_peers {
        Err("so it was asked".to_owned())
    } else if !options.stores().iter().any(needs) {
        Err("they have none of these stores".to_owned())
    } else {
        Peers::started().await.map_err(|fault| format!("{fault:#}"))
    }
}

/// All that is measured of a store.
async fn measured(store: Store, effort: Effort, peers: Option<&Peers>) -> Result<StoreReport> {
    let began = Instant::now();
    let arena = stores::arena(store, effort.warm).await?;
    let (table, curves) = rates(store, &*arena, effort, peers).await?;
    // On another server: of the clients that have made the rates, this one has some for a while.
    drop(arena);
    let arena = stores::arena(store, Duration::ZERO).await?;
    let extras = extras::extras(&*arena, effort).await?;
    let ratios = Ratios(&table);
    let named = arena.ratios().into_iter();
    let named = named.map(|ratio| (ratio.name.to_owned(), Value::from(ratios.value(&ratio))));
    let named = named.collect();
    let bounds = match effort.quick {
        true => Vec::new(),
        false => arena.bounds(&ratios, &extras),
    };
    Ok(StoreReport {
        store: store.name(),
        seconds: began.elapsed().as_secs(),
        table,
        curves,
        ratios: named,
        extras,
        bounds,
    })
}

async fn rates(
    store: Store,
    arena: &dyn Arena,
    effort: Effort,
    peers: Option<&Peers>,
) -> Result<(Vec<Line>, Vec<CurveReport>)> {
    let server = arena.pid().await?;
    let mut contestants = arena.bare().await?;
    contestants.push(here(
        DISTLOCK,
        Distlock::over(arena.place(), arena.most_in_line()).await?,
    ));
    let ours = contestants.len();
    contestants.extend(arena.others().await?);
    if let Some((peers, url)) = peers.zip(arena.url_for_peers()) {
        contestants.extend(peers.over(store.name(), &url));
    }
    let contestants: Vec<_> = contestants.iter().map(|contestant| &**contestant).collect();
    let table = table(&contestants, effort, server).await;
    let mut curves = Vec::new();
    for curve in plan::CURVES {
        let of = if curve.only_ours {
            &contestants[..ours]
        } else {
            &contestants
        };
        curves.push(self::curve(curve, of, effort, server).await);
    }
    Ok((table, curves))
}

async fn table(contestants: &[&dyn Contestant], effort: Effort, server: Option<u32>) -> Vec<Line> {
    let steps = plan::steps();
    let workloads: Vec<_> = steps.iter().map(|step| step.workload).collect();
    let how = (effort.rounds, effort.length);
    let tallies = measure::rounds(contestants, &workloads, server, how).await;
    let mut lines = Vec::new();
    for (step, tallies) in steps.iter().zip(&tallies) {
        let of_step = contestants.iter().zip(tallies);
        lines.extend(of_step.map(|(of, tally)| Line::new(step.name, of.name(), tally)));
    }
    lines
}

async fn curve(
    curve: Curve,
    contestants: &[&dyn Contestant],
    effort: Effort,
    server: Option<u32>,
) -> CurveReport {
    let (counts, workloads): (Vec<_>, Vec<_>) = curve.points(effort.quick).into_iter().unzip();
    let how = (effort.curve_rounds, effort.length);
    let tallies = measure::rounds(contestants, &workloads, server, how).await;
    CurveReport::new(curve, contestants, &counts, &tallies)
}
