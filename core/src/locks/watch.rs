use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Locks, inspect};
use crate::backend::{SignalState, Signals};
use crate::engine::Engine;
use crate::error::Result;
use crate::name::Name;
use crate::state::LockState;

/// How often a store is asked that cannot tell of changes, or asked again after it failed.
const POLL: Duration = Duration::from_millis(500);

/// Follows who holds a name and who waits for it. Made by [`Locks::watch`].
#[derive(Debug)]
pub struct Watch {
    engine: Arc<Engine>,
    name: Result<Name>,
    ttl: Duration,
    states: Option<watch::Receiver<Option<Result<LockState>>>>,
}

impl Watch {
    pub(super) fn new(locks: &Locks, name: &str) -> Self {
        let engine = Arc::clone(&locks.engine);
        Self {
            engine,
            name: locks.name(name),
            ttl: locks.defaults.ttl,
            states: None,
        }
    }

    /// The state now, at the first call; then the latest state each time others hold or wait than
    /// before. Steps in between may be skipped. Renewals are no change.
    ///
    /// # Errors
    /// What the store says when it cannot be asked. The next call goes on watching.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<LockState> {
        let name = self.name.clone()?;
        let states = self.states.get_or_insert_with(|| {
            let (sender, receiver) = watch::channel(None);
            self.engine
                .spawn(follow(Arc::clone(&self.engine), name, self.ttl, sender));
            receiver
        });
        loop {
            if states.changed().await.is_err() {
                return Err(Engine::gone());
            }
            if let Some(state) = states.borrow_and_update().clone() {
                return state;
            }
        }
    }
}

async fn follow(
    engine: Arc<Engine>,
    name: Name,
    ttl: Duration,
    states: watch::Sender<Option<Result<LockState>>>,
) {
    let told = Arc::new(SignalState::default());
    let subscription = engine.backend.subscribe(&name, Signals::to(&told));
    loop {
        let state = inspect(&engine, &name, ttl).await;
        let failed = state.is_err();
        states.send_if_modified(|latest| {
            let same = match (&*latest, &state) {
                (Some(Ok(before)), Ok(now)) => before.same_contenders(now),
                (Some(Err(before)), Err(now)) => before.kind() == now.kind(),
                _ => false,
            };
            if !same {
                *latest = Some(state);
            }
            !same
        });
        // A store that can tell is also looked at now and then, for what it did not tell: an entry
        // that expired with nobody asking, a notice that was lost.
        let pause = if subscription.is_some() && !failed {
            ttl / 3
        } else {
            POLL
        };
        tokio::select! {
            biased;
            () = states.closed() => return,
            () = told.looked() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
