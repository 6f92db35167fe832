//! A store that keeps one [`LockQueue`](distlock_core::queue::LockQueue) a name.

mod backend;
mod claim;
mod named;
mod request;
mod server;
mod session;

pub(crate) use backend::QueueBackend;
pub(crate) use server::QueueServer;
