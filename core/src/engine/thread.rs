use std::convert::Infallible;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};

use super::{Drift, Engine};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::oneshot;

/// Starts an engine on a thread of its own, with a small runtime in which the store is made as
/// well, so that its sockets live there. The thread ends when the engine has.
pub(crate) async fn on_own_thread<S: Backend, F: Future<Output = Result<S>>>(
    drift: Drift,
    make: impl FnOnce() -> F + Send + 'static,
) -> Result<Arc<Engine>> {
    let (started, engine) = oneshot::channel();
    let thread = std::thread::Builder::new().name("distlock".to_owned());
    thread
        .spawn(
            move || match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(live(drift, make, started)),
                Err(error) => drop(started.send(Err(cannot_start(error)))),
            },
        )
        .map_err(cannot_start)?;
    engine.await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Unexpected,
            "making the store panicked",
        ))
    })
}

async fn live<S: Backend, F: Future<Output = Result<S>>>(
    drift: Drift,
    make: impl FnOnce() -> F,
    started: oneshot::Sender<Result<Arc<Engine>>>,
) {
    let (stopped, until_stopped) = oneshot::channel::<Infallible>();
    let engine = make()
        .await
        .map(|store| Engine::start(Arc::new(store), drift, Handle::current(), Some(stopped)));
    // If nobody waits for it any more, the engine drops here, and stops.
    drop(started.send(engine));
    let _ = until_stopped.await;
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Misconfigured,
        "the thread for the locks cannot be started",
    )
    .with_source(error)
}
