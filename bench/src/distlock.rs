//! This library as a contestant, over any store.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use distlock::backend::Backend;
use distlock::memory::MemoryBackend;
use distlock::{Guard, Lock, Locks, RwLock, Semaphore};
use distlock_load::{Clients, Kind, Locker, Lockers, Mode, Names, Seat, Workload, async_trait};
use tokio::sync::Mutex;

/// Where locks are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In this process.
    Memory(MemoryBackend),
    /// In the store of this URL.
    Url(String),
}

impl Place {
    /// Another client of it.
    pub(crate) async fn open(&self) -> distlock::Result<Arc<dyn Backend>> {
        match self {
            Self::Memory(memory) => Ok(Arc::new(memory.clone())),
            Self::Url(url) => distlock::open(url).await,
        }
    }

    /// Locks with a client of their own.
    pub(crate) async fn locks(&self) -> Result<Locks> {
        Ok(Locks::new(self.open().await?)?)
    }
}

/// A store as such, each client with a connection or session of its own.
pub(crate) struct Distlock {
    place: Place,
    most_in_line: usize,
    has_shared: bool,
    has_permits: bool,
    clients: Clients<Arc<dyn Backend>>,
    /// By client and place. Those who contend have some of their own: the tasks that use the same
    /// stand in the store's line one at a time.
    locks: Mutex<HashMap<(usize, usize), Locks>>,
}

impl Distlock {
    pub(crate) async fn over(place: Place, most_in_line: usize) -> Result<Self> {
        let backend = place.open().await?;
        let capabilities = backend.capabilities();
        Ok(Self {
            place,
            most_in_line,
            has_shared: capabilities.shared,
            has_permits: capabilities.permits,
            clients: Clients::default(),
            locks: Mutex::default(),
        })
    }
}

#[async_trait]
impl Lockers for Distlock {
    fn can(&self, workload: &Workload) -> bool {
        match workload.kind {
            Kind::Mutex => workload.names == Names::Apart || workload.tasks <= self.most_in_line,
            Kind::ReadersWriters => self.has_shared,
            Kind::Semaphore(_) => self.has_permits,
        }
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let at = (seat.client, seat.place);
        let mut known = self.locks.lock().await;
        let locks = match known.get(&at) {
            Some(locks) => locks.clone(),
            None => {
                let backend = self.clients.get(seat.client, || self.place.open()).await?;
                let locks = Locks::new(backend)?;
                known.insert(at, locks.clone());
                locks
            }
        };
        Ok(Box::new(Holder::of(&locks, &seat)))
    }
}

/// One client, driven by a thread of its own.
pub(crate) struct OnOwnThread(pub(crate) Locks);

#[async_trait]
impl Lockers for OnOwnThread {
    fn can(&self, workload: &Workload) -> bool {
        workload.names == Names::Apart
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        Ok(Box::new(Holder::of(&self.0, &seat)))
    }
}

struct Holder {
    lock: AnyLock,
    held: Option<Guard>,
}

enum AnyLock {
    Mutex(Lock),
    ReadersWriters(RwLock),
    Semaphore(Semaphore),
}

impl Holder {
    fn of(locks: &Locks, Seat { name, kind, .. }: &Seat) -> Self {
        let lock = match kind {
            Kind::Mutex => AnyLock::Mutex(locks.lock(name)),
            Kind::ReadersWriters => AnyLock::ReadersWriters(locks.rw_lock(name)),
            Kind::Semaphore(limit) => AnyLock::Semaphore(locks.semaphore(name, *limit)),
        };
        Self { lock, held: None }
    }
}

#[async_trait]
impl Locker for Holder {
    async fn acquire(&mut self, mode: Mode) -> Result<()> {
        let acquiring = match &self.lock {
            AnyLock::Mutex(lock) => lock.acquire(),
            AnyLock::ReadersWriters(lock) if mode == Mode::Shared => lock.read(),
            AnyLock::ReadersWriters(lock) => lock.write(),
            AnyLock::Semaphore(lock) => lock.acquire(),
        };
        self.held = Some(acquiring.await?);
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        let held = self.held.take().context("nothing is held")?;
        Ok(held.release().await?)
    }
}
