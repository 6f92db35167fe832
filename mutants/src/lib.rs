//! Stores and engines with one thing wrong on purpose, to see that the conformance suite notices.
//!
//! [`all`] lists the stores. A [`Mutant`] is made of one of three that are sound: the in-process
//! store, behind a decorator that does other than it is asked; a store in plain sight, whose every
//! decision is a function that can be replaced; and a store that compares and swaps records. Its
//! killers are the cases that must fail on it, and what they must say.
//!
//! [`passages`] lists what is done to the engine: passages of its source, each with what is put in
//! its place. They have to be built one by one, which `cargo xtask mutants` does.
//!
//! `docs/mutants.md` is the [`table()`] of both.

mod catalogue;
mod engine;
mod flawed;
mod mutant;
mod plain;
mod records;
mod store;
mod table;
pub mod trial;

pub use catalogue::all;
pub use engine::{Over, Passage, passages};
pub use mutant::{Killer, Mutant};
pub use store::{Base, Store};
pub use table::table;
