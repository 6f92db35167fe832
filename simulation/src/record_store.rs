//! A store that keeps a record a name and replaces it if it is still the one that was read: clients
//! make locks of it by [`CasBackend`](distlock_core::CasBackend).

mod backend;
mod line;
mod request;
mod server;
mod store;

pub(crate) use backend::RecordsBackend;
pub(crate) use server::RecordServer;
