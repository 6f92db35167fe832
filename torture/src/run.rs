//! One torture, from the first server to the verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use distlock::Locks;
use distlock_conformance::history::{Effect, Recorder, What};
use fastrand::Rng;
use tokio::time::{Instant, interval_at, sleep};

use crate::bed::Bed;
use crate::crew::{Crew, Way};
use crate::here::Here;
use crate::nemesis::{self, OfStore};
use crate::options::Options;
use crate::{bar, observer, register, report, stalls};

/// How often the progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(folder) = &options.check {
        return report::judge(folder);
    }
    if options.release_bar {
        return bar::run(options);
    }
    let folder = folder(options)?;
    println!(
        "seed {}, {:.0?}, history in {}",
        options.seed,
        options.length(),
        folder.display()
    );
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(torture(options, &folder))?;
    report::judge(&folder)
}

/// A new folder for the history.
fn folder(options: &Options) -> Result<PathBuf> {
    let Some(out) = &options.out else {
        let topology = options.topology.as_deref().unwrap_or("default");
        let name = format!("torture-{}-{topology}-{}-", options.store, options.seed);
        let folder = tempfile::Builder::new().prefix(&name).tempdir()?;
        return Ok(folder.keep());
    };
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    Ok(out.clone())
}

async fn torture(options: &Options, folder: &Path) -> Result<()> {
    let bed = Bed::started(options).await?;
    let recorder = Arc::new(Recorder::create(folder.join("torture.jsonl"))?);
    let registers = register::serve(Arc::clone(&recorder)).await?;
    let (way, observer) = clients(&bed, options).await?;
    let terms = observer::terms(&observer, options.ttl);
    fs::write(
        folder.join("terms.json"),
        serde_json::to_vec_pretty(&terms)?,
    )?;
    let ttl = observer.capabilities().ttl_in_force(options.ttl);
    let crew = Crew::started(
        way,
        options.ttl,
        options.seed,
        registers,
        folder.to_owned(),
        Arc::clone(&recorder),
    );
    let crew = crew.await?;
    let faults = Arc::new(AtomicU32::new(1));
    stalls::watch_machine(Arc::clone(&faults), Arc::clone(&recorder));
    // Servers that have only just started are slow, and so are clients that connect all at once.
    recorder.record(What::FaultBegan {
        fault: 0,
        kind: "start".to_owned(),
        target: "all".to_owned(),
        effect: Effect::Disturbs,
    })?;
    drop(observer.lock("first").acquire().await?);
    recorder.record(What::FaultEnded { fault: 0 })?;
    let of_store = OfStore {
        bed: &bed,
        ttl,
        settles: terms.settles,
        recorder: &recorder,
        faults: &faults,
    };
    rage(&of_store, &crew, options).await?;
    recorder.record(What::Calm)?;
    // Then everything has to work.
    sleep(terms.settles + 2 * ttl).await;
    let patience = 5 * ttl + terms.slack + Duration::from_secs(20);
    if !crew.ended(patience).await? {
        println!("some workers do not end");
    }
    // What belonged to the dead has expired before; what is left now was left behind.
    observer::look_back(&observer, &recorder, terms.soon).await?;
    recorder.record(What::Done)?;
    Ok(())
}

/// How workers find the store, and one who looks at it from outside.
async fn clients(bed: &Bed, options: &Options) -> Result<(Way, Locks)> {
    let builder = Locks::builder().ttl(options.ttl);
    if options.store == "memory" {
        let here = Here::new(options.mutant)?;
        let observer = builder.build(here.backend().await?)?;
        return Ok((Way::Here(here, options.workers), observer));
    }
    let slots = 0..options.workers as usize;
    let urls = slots.map(|slot| bed.url(slot)).collect();
    let observer = builder.build(distlock::open(&bed.own_url()).await?)?;
    Ok((Way::At(urls), observer))
}

/// Breaks things for as long as was asked, and tells how far that is.
async fn rage(of_store: &OfStore<'_>, crew: &Crew, options: &Options) -> Result<()> {
    let began = Instant::now();
    let until = began + options.length();
    let mut chance = Rng::with_seed(options.seed);
    let both = async {
        tokio::try_join!(
            of_store.rage(chance.fork(), until),
            nemesis::among_workers(crew, of_store.ttl, chance.fork(), until),
        )
    };
    let progress = async {
        let mut ticks = interval_at(began + PROGRESS, PROGRESS);
        loop {
            ticks.tick().await;
            let faults = of_store.faults.load(Ordering::Relaxed);
            println!("{:>5.0?}: {faults} faults", began.elapsed());
        }
    };
    tokio::select! {
        done = both => { done?; }
        () = progress => {}
    }
    Ok(())
}
