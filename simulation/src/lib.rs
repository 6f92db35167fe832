//! The engine of distlock over a simulated store: thousands of runs, each drawn from one seed.
//!
//! [`run()`] lets several clients, each a [`Locks`](distlock_core::Locks) of its own, do random
//! things to a few names. Their store is of one [`Family`]: it keeps a
//! [`LockQueue`](distlock_core::queue::LockQueue) a name, or a record a name that clients swap, or
//! it is the miniature server, under whose sessions claims stand. It is behind a network that
//! loses, duplicates, delays and reorders what passes. Every machine's clock has a rate of its own;
//! clients are paused, cut off, and crash; the store is paused, loses its memory, and begins its
//! TTLs anew. All of it runs on tokio's paused time, on one thread, so a run takes milliseconds and
//! its seed reproduces it exactly.
//!
//! What happens is recorded as a [`History`], which is then held against the library's promises:
//! every broken one is a [`Violation`]. What a run is drawn from, its [`Plan`], can be cut:
//! [`shrink()`] finds a short one that breaks the same promise. That the simulation can see at all
//! is shown by [`Bug`]s planted in the store on purpose, which it must find.

mod bug;
mod careless;
mod chance;
mod check;
mod event;
mod family;
mod guards;
mod history;
mod journey;
mod network;
mod panics;
mod plan;
mod queue_store;
mod record_store;
mod run;
mod server;
mod session_store;
mod shrink;
mod tally;
mod wire;
mod worker;
mod world;

pub use bug::Bug;
pub use check::{Promise, Violation};
pub use event::{ClaimId, Event, What};
pub use family::Family;
pub use history::History;
pub use journey::Journey;
pub use plan::Plan;
pub use plan::step::Way;
pub use run::{Clocks, Run, Setup, replay, run};
pub use shrink::shrink;
pub use tally::Tally;
