use std::collections::VecDeque;
use std::future::pending;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use distlock_core::backend::Signals;
use tokio::time::{Instant, sleep_until};
use zookeeper_client::{Error as ZooKeeper, EventType};

use crate::error;
use crate::session::{Session, is_end};
use crate::watch::Watch;

/// The holds of a session that are young, in the order of their age: who holds for a moment only
/// pays for no watch.
#[derive(Debug, Default)]
pub(crate) struct Nursery {
    young: VecDeque<Young>,
    /// Whether a task sees to it that those which last are watched.
    is_tended: bool,
}

#[derive(Debug)]
struct Young {
    since: Instant,
    watch: Weak<Watch>,
    path: String,
    signals: Signals,
}

/// Who holds for longer is watched.
const SHORT: Duration = Duration::from_millis(10);

/// Tells that the hold is gone when its node is removed, if it lasts.
pub(crate) fn removal(session: &Arc<Session>, path: &str, signals: Signals) -> Arc<Watch> {
    let watch = Watch::new(Vec::new());
    let hold = Young {
        since: Instant::now(),
        watch: Arc::downgrade(&watch),
        path: path.to_owned(),
        signals,
    };
    if session.nursery().add(hold) {
        tokio::spawn(tend(Arc::downgrade(session)));
    }
    watch
}

impl Nursery {
    /// Whether somebody has to tend it from now on.
    fn add(&mut self, hold: Young) -> bool {
        self.young.push_back(hold);
        !mem::replace(&mut self.is_tended, true)
    }

    /// Takes out those that are not young any more. When the next will not be; `None`: there is
    /// none left to tend.
    fn grown(&mut self) -> (Vec<Young>, Option<Instant>) {
        let now = Instant::now();
        let grown = self.young.partition_point(|hold| hold.since + SHORT <= now);
        let grown = self.young.drain(..grown).collect();
        let next = self.young.front().map(|hold| hold.since + SHORT);
        self.is_tended = next.is_some();
        (grown, next)
    }
}

/// Has those watched that last, while there are any.
async fn tend(session: Weak<Session>) {
    let mut next = Some(Instant::now() + SHORT);
    while let Some(then) = next {
        // Whoever waits is not to keep the session.
        sleep_until(then).await;
        let Some(of) = session.upgrade() else {
            return;
        };
        let grown;
        (grown, next) = of.nursery().grown();
        for hold in grown {
            if let Some(watch) = hold.watch.upgrade() {
                let removed = removed(Weak::clone(&session), hold.path);
                watch.begin(removed, move || hold.signals.gone());
            }
        }
    }
}

/// Until this node is removed, or goes with its session.
async fn removed(session: Weak<Session>, path: String) {
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
        if matches!(event, EventType::NodeDeleted | EventType::Session) {
            return;
        }
    }
}
