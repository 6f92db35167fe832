//! Stores broken on purpose, to see that the conformance suite notices.

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
pub use engine::{Passage, passages};
pub use mutant::{Killer, Mutant};
pub use store::Store;
pub use table::table;
