use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use distlock_core::Result;
use distlock_core::backend::Signals;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use zookeeper_client::{Client, Error as ZooKeeper, EventType};

use crate::error;
use crate::session::{Session, is_end};

/// A task that tells what the server tells, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What is watched, where that may be asked.
    paths: Vec<String>,
    task: AbortHandle,
    has_told: Arc<AtomicBool>,
}

/// Who holds for less does not pay for a watch.
const SHORT: Duration = Duration::from_millis(10);

impl Watch {
    /// Tells once this is done, in this way.
    fn until(
        paths: Vec<String>,
        change: impl Future<Output = ()> + Send + 'static,
        tell: impl FnOnce() + Send + 'static,
    ) -> Self {
        let has_told = Arc::new(AtomicBool::new(false));
        let telling = Arc::clone(&has_told);
        let task = tokio::spawn(async move {
            change.await;
            telling.store(true, Ordering::Release);
            tell();
        });
        Self {
            paths,
            task: task.abort_handle(),
            has_told,
        }
    }

    /// Whether it has yet to tell. On each new connection, the client has the nodes watched anew.
    pub(crate) fn is_on(&self) -> bool {
        !self.task.is_finished() && !self.has_told()
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
        self.task.abort();
    }
}

/// Tells to look again when one of these nodes changes. `None` if one is gone already.
pub(crate) async fn changes(
    client: &Client,
    paths: Vec<String>,
    signals: Signals,
) -> Result<Option<Watch>> {
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
    Ok(Some(Watch::until(paths, change, move || signals.look())))
}

/// Tells that the hold is gone when its node is removed.
pub(crate) fn removal(session: &Arc<Session>, path: &str, signals: Signals) -> Watch {
    let (session, path) = (Arc::downgrade(session), path.to_owned());
    let removed = async move {
        sleep(SHORT).await;
        // Whoever waits is not to keep the session.
        while let Some(Ok(client)) = session.upgrade().map(|session| session.client()) {
            let answer = client.get_and_watch_data(&path).await;
            drop(client);
            let event = match answer {
                Ok((_, _, watcher)) => watcher.changed().await.event_type,
                Err(ZooKeeper::NoNode) => EventType::NodeDeleted,
                Err(error) if is_end(&error) => EventType::Session,
                // What is asked next waits for the next connection.
                Err(error) if error::is_broken_connection(&error) => continue,
                // A heartbeat finds what there is to find.
                Err(_) => return pending().await,
            };
            // With its session, the node goes too.
            if matches!(event, EventType::NodeDeleted | EventType::Session) {
                return;
            }
        }
    };
    Watch::until(Vec::new(), removed, move || signals.gone())
}
