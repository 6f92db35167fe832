use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::{
    Attempt, Backend, Blocked, Claim, ClaimRequest, Hold, Patience, Released, Renewal, Signals,
};
use crate::capability::Capabilities;
use crate::clock::{Deadline, Moment};
use crate::error::Result;
use crate::name::Name;
use crate::state::LockState;
use crate::sync::{Mutex, pause, watch};

/// A store with one lock. Others may act between a request, what it does and its answer.
#[derive(Clone, Debug)]
pub(super) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capabilities: Capabilities,
    lock: Mutex<Lock>,
    counts: watch::Sender<Counts>,
}

/// The lock, as the store has it.
#[derive(Debug, Default)]
struct Lock {
    holder: Option<Contender>,
    waiting: Vec<Contender>,
    /// Claims that were released, and must not be heard of again.
    ended: Vec<u128>,
    faults: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Contender {
    id: u128,
    signals: Signals,
}

/// What the store has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) grants: u64,
    pub(super) renewals: u64,
}

impl Default for Store {
    fn default() -> Self {
        let ttl = Duration::from_millis(10)..=Duration::from_secs(60 * 60);
        let mut capabilities = Capabilities::new("explored", ttl);
        capabilities.push = true;
        Self(Arc::new(Shared {
            capabilities,
            lock: Mutex::default(),
            counts: watch::Sender::new(Counts::default()),
        }))
    }
}

impl Store {
    /// Takes the lock from whoever has it, and says so.
    pub(super) fn revoke(&self) {
        let mut lock = self.0.lock.lock().unwrap();
        let holder = lock.holder.take();
        let waiting = lock.waiting.clone();
        drop(lock);
        holder.iter().for_each(|holder| holder.signals.gone());
        waiting.iter().for_each(|waiter| waiter.signals.look());
    }

    /// Resolves once the store has done so much.
    pub(super) async fn has_done(&self, enough: impl Fn(&Counts) -> bool) {
        let mut counts = self.0.counts.subscribe();
        counts.wait_for(enough).await.unwrap();
    }

    pub(super) fn grants(&self) -> u64 {
        self.0.counts.borrow().grants
    }

    /// Nothing of any claim is left, and none was used as it must not be.
    pub(super) fn is_at_rest(&self) {
        let lock = self.0.lock.lock().unwrap();
        assert_eq!(lock.faults, <[&str; 0]>::default());
        assert!(lock.holder.is_none(), "still held: {lock:?}");
        assert!(lock.waiting.is_empty(), "still waiting: {lock:?}");
    }

    fn heard_of(&self, id: u128, fault: &'static str) {
        let mut lock = self.0.lock.lock().unwrap();
        if lock.ended.contains(&id) {
            lock.faults.push(fault);
        }
    }
}

#[async_trait]
impl Backend for Store {
    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn claim(&self, request: ClaimRequest) -> Result<Box<dyn Claim>> {
        Ok(Box::new(StoreClaim {
            store: self.clone(),
            contender: Contender {
                id: request.id,
                signals: request.signals,
            },
            ttl: request.ttl.get(),
        }))
    }

    async fn inspect(&self, _name: &Name, _by: Deadline) -> Result<LockState> {
        Ok(LockState::default())
    }
}

struct StoreClaim {
    store: Store,
    contender: Contender,
    ttl: Duration,
}

#[async_trait]
impl Claim for StoreClaim {
    async fn attempt(&mut self, patience: &Patience) -> Result<Attempt> {
        let Contender { id, .. } = self.contender;
        let as_of = Moment::now();
        pause().await;
        self.store.heard_of(id, "asked for after its release");
        let granted = self.store.enter(&self.contender, patience);
        pause().await;
        Ok(match granted {
            true => Attempt::Held(Hold::new(self.store.grants(), self.ttl, as_of)),
            false => Attempt::Blocked(Blocked::default()),
        })
    }

    async fn renew(&mut self, _by: Deadline) -> Result<Renewal> {
        let Contender { id, .. } = self.contender;
        let as_of = Moment::now();
        pause().await;
        self.store.heard_of(id, "renewed after its release");
        let held = self.store.holds(id);
        if held {
            self.store
                .0
                .counts
                .send_modify(|counts| counts.renewals += 1);
        }
        pause().await;
        Ok(match held {
            true => Renewal::Extended(as_of),
            false => Renewal::Lost,
        })
    }

    async fn release(&mut self, _by: Deadline) -> Result<Released> {
        let Contender { id, .. } = self.contender;
        pause().await;
        self.store.heard_of(id, "released twice");
        let held = self.store.leave(id);
        pause().await;
        Ok(match held {
            true => Released::Held,
            false => Released::NotHeld,
        })
    }
}

impl Store {
    fn enter(&self, contender: &Contender, patience: &Patience) -> bool {
        let wait = !patience.has_ended();
        let mut lock = self.0.lock.lock().unwrap();
        let stands = lock.waiting.iter().position(|one| one.id == contender.id);
        if lock.holder.is_none() && stands.unwrap_or(lock.waiting.len()) == 0 {
            if stands.is_some() {
                lock.waiting.remove(0);
            }
            lock.holder = Some(contender.clone());
            drop(lock);
            self.0.counts.send_modify(|counts| counts.grants += 1);
            return true;
        }
        let holds = lock
            .holder
            .as_ref()
            .is_some_and(|one| one.id == contender.id);
        if !holds && stands.is_none() && wait {
            lock.waiting.push(contender.clone());
        }
        holds
    }

    fn holds(&self, id: u128) -> bool {
        let lock = self.0.lock.lock().unwrap();
        lock.holder.as_ref().is_some_and(|holder| holder.id == id)
    }

    fn leave(&self, id: u128) -> bool {
        let mut lock = self.0.lock.lock().unwrap();
        let held = lock.holder.take_if(|holder| holder.id == id).is_some();
        lock.waiting.retain(|waiter| waiter.id != id);
        lock.ended.push(id);
        let waiting = lock.waiting.clone();
        drop(lock);
        waiting.iter().for_each(|waiter| waiter.signals.look());
        held
    }
}

impl fmt::Debug for StoreClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClaim").finish_non_exhaustive()
    }
}
