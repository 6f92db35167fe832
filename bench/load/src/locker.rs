use anyhow::Result;
use async_trait::async_trait;

use crate::workload::{Kind, Workload};

/// How a name is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By nobody else.
    Exclusive,
    /// By readers.
    Shared,
    /// By one of several.
    Permit,
}

/// Who wants what.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The number of the client whose task it is.
    pub client: usize,
    /// Its number among those of its client that contend, and must not make common cause.
    pub place: usize,
    /// Which name it wants. The same names are given to all contestants.
    pub name: String,
    /// What the name stands for.
    pub kind: Kind,
}

/// What a task acquires one name with, and releases it.
#[async_trait]
pub trait Locker: Send {
    /// Waits as long as it takes.
    async fn acquire(&mut self, mode: Mode) -> Result<()>;

    /// Returns when the store has let go of it, if that can be had.
    async fn release(&mut self) -> Result<()>;
}

/// Who makes locks. Clients are made when they are first needed, and kept.
#[async_trait]
pub trait Lockers: Send + Sync {
    /// Whether this workload can be had of it.
    fn can(&self, workload: &Workload) -> bool;

    /// What the task on this seat works with.
    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>>;
}
