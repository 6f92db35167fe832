use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use distlock_core::Result;
use distlock_core::backend::Signals;
use tokio::task::{AbortHandle, JoinSet};
use zookeeper_client::{Client, Error as ZooKeeper};

use crate::error;

/// A task that tells what the server tells, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What is watched, where that may be asked.
    paths: Vec<String>,
    /// There is none as long as it is put off.
    task: OnceLock<AbortHandle>,
    has_told: AtomicBool,
}

impl Watch {
    pub(crate) fn new(paths: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            paths,
            task: OnceLock::new(),
            has_told: AtomicBool::new(false),
        })
    }

    /// Tells once this is done, in this way.
    pub(crate) fn begin(
        self: &Arc<Self>,
        change: impl Future<Output = ()> + Send + 'static,
        tell: impl FnOnce() + Send + 'static,
    ) {
        let watch = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            change.await;
            if let Some(watch) = watch.upgrade() {
                watch.has_told.store(true, Ordering::Release);
                tell();
            }
        });
        drop(self.task.set(task.abort_handle()));
    }

    /// Whether it has yet to tell. On each new connection, the client has the nodes watched anew.
    pub(crate) fn is_on(&self) -> bool {
        let task = self.task.get();
        task.is_some_and(|task| !task.is_finished()) && !self.has_told()
    }

    pub(crate) fn has_told(&self) -> bool {
        self.has_told.load(Ordering::Acquire)
    }

    /// Whether it is of these.
    pub(crate) fn is_of(&self, paths: &[String]) -> bool {
        self.paths == paths
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Tells to look again when one of these nodes changes. `None` if one is gone already.
pub(crate) async fn changes(
    client: &Client,
    paths: Vec<String>,
    signals: Signals,
) -> Result<Option<Arc<Watch>>> {
    let asked: Vec<_> = paths
        .iter()
        .map(|path| client.get_and_watch_data(path))
        .collect();
    let mut changes = JoinSet::new();
    for answer in asked {
        match answer.await {
            Ok((_, _, watcher)) => drop(changes.spawn(watcher.changed())),
            Err(ZooKeeper::NoNode) => return Ok(None),
            Err(error) => return Err(error::of(error)),
        }
    }
    let change = async move { drop(changes.join_next().await) };
    let watch = Watch::new(paths);
    watch.begin(change, move || signals.look());
    Ok(Some(watch))
}
