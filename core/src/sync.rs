//! By what tasks and threads share state.
//!
//! With `--cfg shuttle`, the unit tests of this crate explore in which order they use it: each use
//! is then a point at which any other may come first.

cfg_if::cfg_if! {
    if #[cfg(all(test, shuttle))] {
        mod explore;
        mod explored;

        pub(crate) use explore::{Clock, explore, pause};
        pub(crate) use explored::*;
    } else {
        pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32};
        pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};

        pub(crate) use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot, watch};

        /// Runs a task on this runtime; drops it if that has shut down.
        pub(crate) fn spawn(
            runtime: &tokio::runtime::Handle,
            task: impl Future<Output = ()> + Send + 'static,
        ) {
            runtime.spawn(task);
        }
    }
}
