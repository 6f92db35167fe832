//! Breaking the way between the engine and a store, on command.
//!
//! [`Faulty`] wraps a backend, [`Faults`] says from the test what goes wrong with which request:
//!
//! ```
//! use distlock_conformance::faults::{Fault, Faulty, Verb, Which};
//! use distlock_core::backend::Backend;
//! # fn example(backend: impl Backend) {
//! let (backend, faults) = Faulty::new(backend);
//! // Of the renewals to come, the second is done by the store, but its answer is lost.
//! faults.add(Verb::Renew, Which::Nth(2), Fault::LoseReply);
//! # drop(backend);
//! # }
//! ```

mod claim;
mod faulty;
mod script;
mod told;

pub use faulty::Faulty;
pub use script::{Fault, Faults, Verb, Which};
pub use told::WakeUps;
