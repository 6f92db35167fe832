use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use distlock_core::backend::Signals;
use distlock_core::queue::{LockQueue, StoreTime};
use distlock_core::{
    Capabilities, CasStore, Deadline, Error, ErrorKind, Name, Result, Swap, Version,
};

use super::request::{Asks, Reply, Request};
use super::server::RecordServer;
use crate::bug::Bug;
use crate::journey::Mailbox;
use crate::wire::Wire;

/// The store, as a client has it.
#[derive(Debug)]
pub(super) struct RecordStore {
    capabilities: Capabilities,
    client: usize,
    wire: Arc<Wire<RecordServer>>,
    bug: Option<Bug>,
    /// How often each thing has been asked.
    asked: Mutex<HashMap<(usize, &'static str), u32>>,
}

impl RecordStore {
    pub(super) fn new(
        capabilities: Capabilities,
        client: usize,
        wire: &Arc<Wire<RecordServer>>,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            capabilities,
            client,
            wire: Arc::clone(wire),
            bug,
            asked: Mutex::default(),
        }
    }

    async fn ask(&self, name: &Name, asks: Asks, by: Deadline) -> Result<Reply> {
        let name = number_of(name)?;
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let times = asked.entry((name, asks.verb())).or_default();
            *times += 1;
            *times
        };
        let request = Request {
            client: self.client,
            name,
            asks,
            number,
        };
        self.wire
            .ask(self.client, request, &Mailbox::new(), by)
            .await
    }
}

#[async_trait]
impl CasStore for RecordStore {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn load(&self, name: &Name, by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        match self.ask(name, Asks::Load, by).await? {
            Reply::Record(record) => {
                Ok(record.map(|(queue, version)| (queue, Version::new(version.to_string()))))
            }
            _ => Err(unexpected()),
        }
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap> {
        let asks = Asks::Swap {
            queue: queue.clone(),
            expected: expected.and_then(|version| version.as_str().parse().ok()),
            // The clock has just been read for it.
            made: self.wire.store_time(),
        };
        match self.ask(name, asks, by).await? {
            Reply::Stored { version } => Ok(Swap::Stored(Version::new(version.to_string()))),
            Reply::Stale => Ok(Swap::Stale),
            Reply::Record(_) => Err(unexpected()),
        }
    }

    fn now(&self) -> Result<StoreTime> {
        Ok(self.wire.store_time())
    }

    /// By a clock, as real stores do, so that numbers grow also after the record was lost.
    fn floor(&self) -> u64 {
        match self.bug {
            Some(Bug::NumbersRestart) => 1,
            _ => self.wire.store_time().micros() + 1,
        }
    }

    fn subscribe(&self, name: &Name, signals: Signals) -> Option<Box<dyn Send + Sync>> {
        let name = number_of(name).ok().filter(|_| self.capabilities.push)?;
        let listen = |server: &mut RecordServer| server.listen(self.client, name, signals);
        Some(Box::new(self.wire.with_server(listen)))
    }
}

fn number_of(name: &Name) -> Result<usize> {
    let number = name.as_str().parse();
    number.map_err(|_| Error::new(ErrorKind::InvalidInput, "names are numbers here"))
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Unexpected, "a reply to another question")
}
