use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Ladder, Opened, Session, SessionStore};
use crate::capability::Capabilities;
use crate::clock::Deadline;
use crate::error::Result;

/// The sessions of one client: at most one on each rung of its [`Ladder`].
#[derive(Debug)]
pub struct Sessions<S: SessionStore> {
    store: Arc<S>,
    ladder: Ladder,
    slack: Duration,
    rungs: Vec<Rung<S>>,
}

type Rung<S> = Mutex<Option<Arc<Session<S>>>>;

impl<S: SessionStore> Sessions<S> {
    /// No session yet, with a store that can do this.
    pub fn new(store: S, capabilities: &Capabilities) -> Self {
        let ladder = Ladder::new(&capabilities.ttl);
        Self {
            store: Arc::new(store),
            slack: capabilities.slack,
            rungs: ladder.rungs().iter().map(|_| Mutex::default()).collect(),
            ladder,
        }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The session for claims of this TTL: the one that lives, or a new one.
    ///
    /// # Errors
    /// Those of [`SessionStore::open`].
    pub async fn session(&self, asked: Duration, by: Deadline) -> Result<Arc<Session<S>>> {
        let (place, ttl) = (self.ladder.place(asked), self.ladder.in_force(asked));
        let open = || Session::open(&self.store, ttl, self.slack, by);
        // Whoever opens one may have more time for a server that hangs, or its runtime is blocked.
        let Ok(mut rung) = timeout(by.remaining() / 2, self.rungs[place].lock()).await else {
            return open().await;
        };
        match &*rung {
            Some(session) if session.is_alive() => Ok(Arc::clone(session)),
            _ => Ok(Arc::clone(rung.insert(open().await?))),
        }
    }

    /// A session beside those of the ladder, which the store has opened otherwise: on which a claim
    /// has waited, say. It is found by nobody else.
    pub fn adopt(&self, opened: Opened<S::Handle>) -> Arc<Session<S>> {
        Session::opened(&self.store, opened, self.slack)
    }

    /// Ends the sessions under which no claim stands.
    pub async fn close(&self, by: Deadline) {
        for rung in &self.rungs {
            // One that is being opened is wanted.
            if let Ok(mut rung) = rung.try_lock()
                && let Some(session) = rung.take_if(|session| session.is_idle())
            {
                // If that is not possible, it ends by itself.
                drop(session.end(by).await);
            }
        }
    }
}
