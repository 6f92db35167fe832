//! Lock servers in miniature, and backends that speak to them.
//!
//! Stores come in families. Those that keep a record by compare-and-swap are at home in this
//! repository as they are; the others need a server. Here is one, small enough to read, for each of
//! the two families whose clients have sessions, so that what their backends share is held to the
//! promises before any real server is: by the conformance suite, by the simulation, and by mutants.
//!
//! * [`SessionBackend::new`]: claims stand in a line under a session and are told when their turn
//!   comes, as with etcd and ZooKeeper.
//! * [`SessionBackend::waiting_on_server`]: a request for a lock is answered when it is granted, as
//!   with Postgres.
//!
//! Both speak to a [`Server`] over a [`Wire`]: [`Direct`], which is a function call, or a simulated
//! network.

mod backend;
mod claim;
mod membership;
mod request;
mod server;
mod wire;

pub use backend::SessionBackend;
pub use request::{Reply, Request};
pub use server::{Served, Server};
pub use wire::{Direct, Wire};
