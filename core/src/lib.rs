#![doc = include_str!("guide.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
pub mod queue;
pub mod session;
pub mod telemetry;

mod boot;
mod capability;
mod cas;
mod clock;
mod engine;
mod error;
mod guard;
mod locks;
mod mode;
mod name;
mod state;
mod sync;
mod token;
mod ttl;

pub use capability::{Capabilities, Expiry, Fair, Fencing};
pub use cas::{CasBackend, CasStore, Swap, Version};
pub use clock::{Deadline, Moment};
pub use error::{Error, ErrorKind, Result};
pub use guard::{Guard, Loss, Lost, Release};
pub use locks::{Acquire, Lock, Locks, LocksBuilder, RwLock, Semaphore, TryAcquire, Watch};
pub use mode::Mode;
pub use name::Name;
pub use state::{Entry, LockState};
pub use token::FencingToken;
pub use ttl::Ttl;
