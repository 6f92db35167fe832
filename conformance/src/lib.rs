//! The suite that holds every store of distlock to the same promises, P1 to P16 of its
//! documentation.
//!
//! The author of a backend writes a [`Harness`], which says how to reach the store under test, and
//! hands it to [`run`] in a test without the standard harness (`harness = false` in `Cargo.toml`):
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use distlock_conformance::{Harness, run};
//! use distlock_core::backend::Backend;
//! use distlock_core::{Capabilities, Result};
//!
//! # async fn connect(_url: &str) -> Result<Box<dyn Backend>> { unreachable!() }
//! #[derive(Debug)]
//! struct MyStore;
//!
//! #[async_trait]
//! impl Harness for MyStore {
//!     fn capabilities(&self) -> Capabilities {
//!         let second = Duration::from_secs(1);
//!         let mut pinned = Capabilities::new("mine", second..=3600 * second);
//!         pinned.shared = true;
//!         pinned
//!     }
//!
//!     async fn backend(&self) -> Result<Box<dyn Backend>> {
//!         connect("mine://127.0.0.1:4000").await
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     run(MyStore)
//! }
//! ```
//!
//! Each promise is a module of cases, each case one test:
//! `mine::fencing::tokens_grow_across_expiry`. The usual arguments of `cargo test` choose among
//! them. A case that needs what the store does not declare shows as *ignored*, with what it needs;
//! since the capabilities are pinned in the store's test, and compared with what the backend says,
//! no store passes by declaring less.
//!
//! The cases share one store and run several at a time: each has names, clients and a runtime of
//! its own. Where a case needs a second process, the test's executable starts itself, which is why
//! [`run`] belongs at the very beginning of `main`.
//!
//! Two cases are of no one promise: they put random requests to the store and to a
//! [`LockQueue`](distlock_core::queue::LockQueue), the specification, and compare. What differs is
//! told as the shortest list of requests that shows it, with a seed; the environment variable
//! `DISTLOCK_CONFORMANCE_SEED` runs that seed again, and no other.
//!
//! A test that needs a single case, of another store each time perhaps, has [`check()`], without a
//! test harness around it.
//!
//! `history` (on Unix) records what several processes ask of locks and what they get, and holds that
//! against the promises: for tests that run for long, on stores that fail.
//!
//! [`faults`] has the decorator with which the suite loses requests, replies and wake-ups. It wraps
//! any backend and is of use for tests of applications too.

pub mod faults;
#[cfg(unix)]
pub mod history;

mod bare;
mod case;
mod cases;
mod check;
mod child;
mod context;
mod counter;
mod failure;
mod form;
mod harness;
mod panics;
mod polling;
mod process;
mod runner;
mod specification;
mod stalls;

pub use check::{Verdict, cases, check};
pub use harness::Harness;
pub use runner::run;
