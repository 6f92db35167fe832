//! distributed-lock. Over Redis, its `acquire` does not wait for one who holds, so its caller has to
//! ask again and again; over PostgreSQL, the server wakes it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_load::{Clients, Kind, Locker, Lockers, Mode, Seat, Workload, async_trait};
use distributed_lock_core::{
    DistributedLock, DistributedReaderWriterLock, DistributedSemaphore, LockHandle, LockProvider,
    ReaderWriterLockProvider, SemaphoreProvider,
};
use distributed_lock_postgres::{
    PostgresDistributedReaderWriterLock, PostgresLockProvider, PostgresReadLockHandle,
    PostgresWriteLockHandle,
};
use distributed_lock_redis::{RedisDistributedSemaphore, RedisLockProvider, RedisSemaphoreHandle};
use tokio::time::sleep;

/// Between two attempts at what does not wait by itself.
const PAUSE: Duration = Duration::from_millis(10);

struct OverRedis(String, Clients<Arc<RedisLockProvider>>);

pub(crate) fn redis(url: String) -> Box<dyn Lockers> {
    Box::new(OverRedis(url, Clients::default()))
}

#[async_trait]
impl Lockers for OverRedis {
    fn can(&self, workload: &Workload) -> bool {
        // Its readers and writers do not exclude each other.
        workload.kind != Kind::ReadersWriters
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let make = async || RedisLockProvider::new(&self.0).await.map(Arc::new);
        let provider = self.1.get(seat.client, make).await?;
        let name = format!("distributed-lock/{}", seat.name);
        Ok(match seat.kind {
            Kind::Semaphore(limit) => Box::new(Permit {
                semaphore: provider.create_semaphore(&name, limit),
                held: None,
            }),
            _ => Box::new(Mutex {
                lock: provider.create_lock(&name),
                waits: false,
                held: None,
            }),
        })
    }
}

struct OverPostgres(String, Clients<Arc<PostgresLockProvider>>);

pub(crate) fn postgres(url: String) -> Box<dyn Lockers> {
    Box::new(OverPostgres(url, Clients::default()))
}

#[async_trait]
impl Lockers for OverPostgres {
    fn can(&self, workload: &Workload) -> bool {
        !matches!(workload.kind, Kind::Semaphore(_))
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let make = async || PostgresLockProvider::new(&self.0).await.map(Arc::new);
        let provider = self.1.get(seat.client, make).await?;
        let name = format!("distributed-lock/{}", seat.name);
        Ok(match seat.kind {
            Kind::ReadersWriters => Box::new(ReaderWriter {
                lock: provider.create_reader_writer_lock(&name),
                reads: None,
                writes: None,
            }),
            _ => Box::new(Mutex {
                lock: provider.create_lock(&name),
                waits: true,
                held: None,
            }),
        })
    }
}

struct Mutex<L: DistributedLock> {
    lock: L,
    /// Whether it does so by itself.
    waits: bool,
    held: Option<L::Handle>,
}

#[async_trait]
impl<L: DistributedLock> Locker for Mutex<L> {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        self.held = if self.waits {
            Some(self.lock.acquire(None).await?)
        } else {
            loop {
                match self.lock.try_acquire().await? {
                    None => sleep(PAUSE).await,
                    held => break held,
                }
            }
        };
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        Ok(self
            .held
            .take()
            .context("nothing is held")?
            .release()
            .await?)
    }
}

struct Permit {
    semaphore: RedisDistributedSemaphore,
    held: Option<RedisSemaphoreHandle>,
}

#[async_trait]
impl Locker for Permit {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        while self.held.is_none() {
            self.held = self.semaphore.try_acquire().await?;
            if self.held.is_none() {
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        Ok(self
            .held
            .take()
            .context("nothing is held")?
            .release()
            .await?)
    }
}

struct ReaderWriter {
    lock: PostgresDistributedReaderWriterLock,
    reads: Option<PostgresReadLockHandle>,
    writes: Option<PostgresWriteLockHandle>,
}

#[async_trait]
impl Locker for ReaderWriter {
    async fn acquire(&mut self, mode: Mode) -> Result<()> {
        match mode {
            Mode::Shared => self.reads = Some(self.lock.acquire_read(None).await?),
            _ => self.writes = Some(self.lock.acquire_write(None).await?),
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        if let Some(reading) = self.reads.take() {
            reading.release().await?;
        }
        if let Some(writing) = self.writes.take() {
            writing.release().await?;
        }
        Ok(())
    }
}
