//! A process that works with locks until it is told to stop, or killed.

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use distlock::Locks;
use distlock_conformance::history::Recorder;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::client::Client;
use crate::stalls;

/// The environment variable that makes a process a worker, and holds its [`Order`].
pub(crate) const VARIABLE: &str = "DISTLOCK_TORTURE_ORDER";
/// What a worker is told on its standard input, so that it stops in order.
pub(crate) const STOP: &str = "stop";

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) client: u32,
    pub(crate) url: String,
    pub(crate) ttl: Duration,
    pub(crate) history: PathBuf,
    pub(crate) registers: SocketAddr,
    pub(crate) seed: u64,
}

impl Order {
    /// The order under which this process was started, if it is a worker.
    pub(crate) fn from_environment() -> Option<Self> {
        serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
    }
}

pub(crate) fn obey(order: Order) -> ExitCode {
    let (stop, stopped) = watch::channel(false);
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line == STOP {
                stop.send_replace(true);
            }
        }
        // The parent has gone, however it ended; there is nobody to work for.
        std::process::exit(0);
    });
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let worked = runtime
        .context("a runtime")
        .and_then(|runtime| runtime.block_on(work(order, stopped)));
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("a worker cannot work: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn work(order: Order, stop: watch::Receiver<bool>) -> Result<()> {
    let recorder = Arc::new(Recorder::create(&order.history)?);
    let Some(locks) = connected(&order, &stop).await else {
        return Ok(());
    };
    stalls::watch_client(order.client, Arc::clone(&recorder));
    let (number, ttl, registers) = (order.client, order.ttl, order.registers);
    let client = Client::new(number, locks, ttl, recorder, registers, stop).await?;
    client.work(order.seed).await;
    Ok(())
}

/// Tries until the store can be reached, or nobody wants it any more.
async fn connected(order: &Order, stop: &watch::Receiver<bool>) -> Option<Locks> {
    while !*stop.borrow() {
        if let Ok(store) = distlock::open(&order.url).await
            && let Ok(locks) = Locks::builder().ttl(order.ttl).build(store)
        {
            return Some(locks);
        }
        sleep(Duration::from_millis(200)).await;
    }
    None
}
