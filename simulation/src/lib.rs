//! The engine of distlock over a simulated store: thousands of runs, each drawn from one seed.
//!
//! [`run`] lets several clients, each a [`Locks`](distlock_core::Locks) of its own, do random things
//! to a few names. Their store is a [`LockQueue`](distlock_core::queue::LockQueue) a name behind a
//! network that loses, duplicates, delays and reorders what passes, on a machine whose clock runs
//! at a rate of its own; clients are paused, cut off, and crash. All of it runs on tokio's paused
//! time, on one thread, so a run takes milliseconds and its seed reproduces it exactly.
//!
//! What happens is recorded as a [`History`], which is then held against the library's promises:
//! every broken one is a [`Violation`]. That the simulation can see at all is shown by [`Bug`]s
//! planted in the store on purpose, which it must find.

mod backend;
mod bug;
mod check;
mod claim;
mod disaster;
mod event;
mod guards;
mod history;
mod message;
mod network;
mod panics;
mod plan;
mod run;
mod server;
mod session;
mod worker;
mod world;

pub use bug::Bug;
pub use check::Violation;
pub use event::{Event, What};
pub use history::History;
pub use run::{Run, Setup, run};
