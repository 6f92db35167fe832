//! What must hold of the engine in whatever order its tasks and its users' threads take their
//! steps.

mod acquire;
mod hold;
mod keeper;
mod line;
mod pending;
mod store;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use shuttle::future::{JoinHandle, yield_now};
use tokio::runtime::Handle;

use super::begin::Starts;
use super::caller::{Contest, Kind};
use super::keep::{self, Keeper};
use super::{Drift, Engine, Spec};
use crate::backend::Backend;
use crate::error::Result;
use crate::guard::Guard;
use crate::mode::Mode;
use crate::name::Name;
use crate::sync::{Clock, explore};
use crate::ttl::Ttl;

use store::Store;

const TTL: Duration = Duration::from_secs(6);
const WAIT: Kind = Kind::Wait(None);

/// An engine over a store of its own, in one execution.
#[derive(Clone)]
struct World {
    engine: Arc<Engine>,
    store: Store,
    clock: Clock,
}

impl World {
    fn new(clock: Clock) -> Self {
        Self::with_keeper(clock).0
    }

    /// One whose keeper can be aborted, as by a runtime that shuts down.
    fn with_keeper(clock: Clock) -> (Self, JoinHandle<()>) {
        let store = Store::default();
        let (keeper, starts) = (Arc::<Keeper>::default(), Arc::<Starts>::default());
        let run = spawn(keep::run(Arc::clone(&keeper), Arc::clone(&starts)));
        let engine = Arc::new(Engine {
            backend: Arc::new(store.clone()),
            owner: "explored".into(),
            drift: Drift::DEFAULT,
            pending: Arc::default(),
            runtime: Handle::current(),
            keeper,
            starts,
            lines: Arc::default(),
            stopped: None,
        });
        let world = Self {
            engine,
            store,
            clock,
        };
        (world, run)
    }

    fn spec(&self) -> Spec {
        Spec {
            name: name(),
            mode: Mode::Exclusive,
            ttl: Ttl::new(TTL, self.store.capabilities()).unwrap(),
            label: "".into(),
            max_hold: None,
        }
    }

    fn ask(&self, kind: Kind) -> Asking {
        self.ask_for(self.spec(), kind)
    }

    fn ask_for(&self, spec: Spec, kind: Kind) -> Asking {
        Asking(Contest::new(&self.engine, Ok(spec), kind))
    }

    async fn acquire(&self) -> Guard {
        self.ask(WAIT).await.unwrap().unwrap()
    }

    /// Waits for all tasks of the engine. Those that have not ended when the execution does are
    /// dropped as they are, with the locks that they have, for which the keeper may be waiting.
    async fn has_nothing_to_do(&self) {
        while Arc::strong_count(&self.engine) > 1 {
            yield_now().await;
        }
    }

    /// What must be true once all has come to its end.
    async fn ends_well(&self) {
        self.engine.pending.settled().await;
        self.store.is_at_rest();
        assert!(self.engine.keeper.is_empty(), "kept though it has ended");
    }
}

struct Asking(Contest);

impl Future for Asking {
    type Output = Result<Option<Guard>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

/// Explores the schedules of an engine.
fn explore_engine<F: Future<Output = ()>>(property: impl Fn(World) -> F + Send + Sync + 'static) {
    explore(move |clock| property(World::new(clock)));
}

/// Begins a task, which is awaited.
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    shuttle::future::spawn(task)
}

fn name() -> Name {
    Name::new("x").unwrap()
}
