//! What is done with locks to measure them, whoever makes the locks: this library, the bare
//! commands of a client, or a peer. Peers that bring dependencies of their own are asked by lines
//! of JSON, so this knows no lock library at all.

#![expect(
    clippy::exhaustive_enums,
    reason = "whoever makes locks has to know all that is asked"
)]

mod clients;
mod locker;
mod outcome;
mod round;
mod wire;
mod workload;

pub use async_trait::async_trait;
pub use clients::Clients;
pub use locker::{Locker, Lockers, Mode, Seat};
pub use outcome::{Outcome, Waits, share};
pub use round::round;
pub use wire::{Answer, Peer, Question};
pub use workload::{Kind, Names, Workload};
