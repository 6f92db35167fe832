//! The testbed against the real servers: each topology starts, answers, breaks, and comes back.

mod authority;
mod etcd;
mod given;
mod postgres;
mod processes;
mod redis;
mod server;
mod zookeeper;
