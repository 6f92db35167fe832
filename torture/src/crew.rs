//! The workers: one in each slot, with a new one in the place of each that is killed.

mod body;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use distlock_conformance::history::{Recorder, What, cut_torn_line};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use crate::here::Here;
use crate::worker::Order;
use body::Body;

/// Where workers find the store.
#[derive(Debug)]
pub(crate) enum Way {
    /// They are processes, and there is a URL for each slot.
    At(Vec<String>),
    /// They are runtimes of this process, so many of them.
    Here(Here, u32),
}

/// All workers.
#[derive(Debug)]
pub(crate) struct Crew {
    slots: Vec<Mutex<Option<Worker>>>,
    clients: AtomicU32,
    way: Way,
    ttl: Duration,
    seed: u64,
    registers: SocketAddr,
    folder: PathBuf,
    recorder: Arc<Recorder>,
}

#[derive(Debug)]
struct Worker {
    client: u32,
    body: Body,
    history: PathBuf,
}

impl Way {
    fn slots(&self) -> usize {
        match self {
            Self::At(urls) => urls.len(),
            Self::Here(_, slots) => *slots as usize,
        }
    }
}

impl Crew {
    pub(crate) async fn started(
        way: Way,
        ttl: Duration,
        seed: u64,
        registers: SocketAddr,
        folder: PathBuf,
        recorder: Arc<Recorder>,
    ) -> Result<Self> {
        let crew = Self {
            slots: (0..way.slots()).map(|_| Mutex::new(None)).collect(),
            clients: AtomicU32::new(1),
            way,
            ttl,
            seed,
            registers,
            folder,
            recorder,
        };
        for slot in 0..crew.slots.len() {
            crew.start(slot).await?;
        }
        Ok(crew)
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Puts a new worker into a slot.
    pub(crate) async fn start(&self, slot: usize) -> Result<()> {
        let client = self.clients.fetch_add(1, Ordering::Relaxed);
        let history = self.folder.join(format!("client-{client:04}.jsonl"));
        let order = |url: &str| Order {
            client,
            url: url.to_owned(),
            ttl: self.ttl,
            history: history.clone(),
            registers: self.registers,
            seed: self.seed ^ u64::from(client) << 32,
        };
        let body = match &self.way {
            Way::At(urls) => Body::process(&order(&urls[slot]))?,
            Way::Here(here, _) => Body::runtime(order(""), here.clone())?,
        };
        *self.slots[slot].lock().await = Some(Worker {
            client,
            body,
            history,
        });
        Ok(())
    }

    /// Kills the worker of a slot, and starts another a while later.
    pub(crate) async fn kill(&self, slot: usize, later: Duration) -> Result<()> {
        if let Some(worker) = self.slots[slot].lock().await.take() {
            // Before it is done: the store, and with it another client, may know sooner than this
            // process.
            self.recorder.record(What::Killed {
                client: worker.client,
            })?;
            worker.body.kill().await?;
            // It may have been writing; if not even begun, there is no file.
            if worker.history.exists() {
                cut_torn_line(&worker.history)?;
            }
        }
        sleep(later).await;
        self.start(slot).await
    }

    /// Stops the worker of a slot where it is, for so long.
    pub(crate) async fn pause(&self, slot: usize, lasts: Duration) -> Result<()> {
        let worker = self.slots[slot].lock().await;
        let Some(Worker { client, body, .. }) = &*worker else {
            return Ok(());
        };
        let client = *client;
        self.recorder.record(What::Paused { client })?;
        body.pause(lasts).await?;
        self.recorder.record(What::Resumed { client })?;
        Ok(())
    }

    /// Has all of them end in order, and tells whether they did in time.
    pub(crate) async fn ended(&self, within: Duration) -> Result<bool> {
        for slot in &self.slots {
            if let Some(worker) = &mut *slot.lock().await {
                worker.body.stop().await?;
            }
        }
        let end = Instant::now() + within;
        let mut all = true;
        for slot in &self.slots {
            if let Some(worker) = &mut *slot.lock().await {
                match timeout_at(end, worker.body.end()).await {
                    Ok(ended) => ended?,
                    Err(_) => all = false,
                }
            }
        }
        Ok(all)
    }
}
