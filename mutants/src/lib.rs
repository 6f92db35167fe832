//! Stores broken on purpose, to see that the conformance suite notices.

mod catalogue;
mod flawed;
mod mutant;
mod plain;
mod records;
mod store;
pub mod trial;

pub use catalogue::all;
pub use mutant::{Killer, Mutant};
pub use store::Store;
