//! A store whose clients have sessions, under which their claims stand.
//!
//! It is the miniature server with both its backends. Unlike the store of queues it does whatever
//! comes, however late and however often, as real servers do.

mod backend;
mod bent;
mod request;
mod server;
mod wire;

pub(crate) use backend::SessionsBackend;
pub(crate) use server::SessionServer;
pub(crate) use wire::SessionWire;
