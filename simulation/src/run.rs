use std::sync::Arc;

use distlock_core::backend::Backend;
use distlock_core::{Locks, Result};
use distlock_miniature::SessionBackend;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::bug::Bug;
use crate::check::{self, Terms, Violation};
use crate::event::What;
use crate::family::Family;
use crate::history::History;
use crate::panics;
use crate::plan::{Client, Plan};
use crate::queue_store::{QueueBackend, QueueServer};
use crate::record_store::{RecordServer, RecordsBackend};
use crate::server::Server;
use crate::session_store::{SessionServer, SessionWire, SessionsBackend};
use crate::wire::Wire;
use crate::worker::Worker;
use crate::world::World;

/// What is not left to the seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// How far the rates of the clocks differ.
    pub clocks: Clocks,
    /// What is wrong with the store.
    pub bug: Option<Bug>,
    /// The kind of store, which is otherwise drawn.
    pub family: Option<Family>,
}

/// How far the rates of the clients' clocks and of the store's differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clocks {
    /// By less than the clients' drift margin.
    #[default]
    WithinMargin,
    /// By more.
    BeyondMargin,
}

/// A run that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run {
    /// What happened.
    pub history: History,
    /// The promises that were broken.
    pub violations: Vec<Violation>,
}

/// Makes the run of this seed. The same seed and set-up make the same run.
///
/// # Panics
/// If a runtime cannot be made.
pub fn run(seed: u64, setup: &Setup) -> Run {
    replay(&Plan::draw(seed, setup), setup)
}

/// Makes the run of this plan. The same plan and set-up make the same run.
///
/// # Panics
/// If a runtime cannot be made.
pub fn replay(plan: &Plan, setup: &Setup) -> Run {
    // The engine draws its jitter from the thread's.
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let (history, panics) = panics::seen_during(|| {
        let history = runtime.block_on(live(plan.clone(), setup.bug));
        // What is left of the engines ends here, which must not panic either.
        drop(runtime);
        history
    });
    let mut violations = check::all(&history, &Terms::of(plan));
    violations.extend(panics.into_iter().map(Violation::panic));
    Run {
        history,
        violations,
    }
}

async fn live(plan: Plan, bug: Option<Bug>) -> History {
    let world = World::new(plan);
    match world.plan.family {
        Family::Queue => {
            let wire = Wire::new(&world, QueueServer::new(world.plan.names, bug));
            play(&wire, |client| QueueBackend::new(client, &wire, bug)).await;
        }
        Family::Records => {
            let wire = Wire::new(&world, RecordServer::new(&world.plan, bug));
            play(&wire, |client| RecordsBackend::new(client, &wire, bug)).await;
        }
        Family::Sessions => live_in_sessions(&world, bug, SessionBackend::new).await,
        Family::Blocking => live_in_sessions(&world, bug, SessionBackend::waiting_on_server).await,
    }
    world.take_history()
}

async fn live_in_sessions<B: Backend>(
    world: &Arc<World>,
    bug: Option<Bug>,
    backend: impl Fn(SessionWire) -> B + Send + Sync,
) {
    let wire = Wire::new(world, SessionServer::new(bug));
    play(&wire, |client| {
        let backend = backend(SessionWire::new(client, &wire));
        Ok(SessionsBackend::new(client, world, backend, bug))
    })
    .await;
}

/// Lets clients with these backends do what is planned.
async fn play<S: Server, B: Backend>(wire: &Arc<Wire<S>>, backend: impl Fn(usize) -> Result<B>) {
    let world = &wire.world;
    let locks = |(number, client): (usize, &Client)| {
        let builder = Locks::builder().ttl(client.own_ttl());
        backend(number)
            .and_then(|backend| builder.label(format!("client {number}")).build(backend))
            .expect("within a runtime, with a TTL that the store takes")
    };
    let clients: Vec<_> = world.plan.clients.iter().enumerate().map(locks).collect();
    let workers: Vec<Vec<JoinHandle<()>>> = clients
        .iter()
        .enumerate()
        .map(|(client, locks)| {
            let scripts = world.plan.clients[client].workers.iter();
            scripts
                .map(|steps| {
                    let worker = Worker::new(world, client, locks);
                    tokio::spawn(worker.work(steps.clone()))
                })
                .collect()
        })
        .collect();
    suffer(wire, &workers).await;
    wire.heal();
    finish(world, workers).await;
    settle(wire, &clients).await;
}

/// What is planned to go wrong does.
async fn suffer<S: Server>(wire: &Arc<Wire<S>>, workers: &[Vec<JoinHandle<()>>]) {
    let began = Instant::now();
    let plan = &wire.world.plan;
    let mut disasters = plan.disasters.clone();
    disasters.sort_by_key(|(at, _)| *at);
    for (at, disaster) in disasters {
        sleep_until(began + at).await;
        wire.befall(disaster);
        for (client, workers) in workers.iter().enumerate() {
            if wire.has_crashed(client) {
                workers.iter().for_each(JoinHandle::abort);
            }
        }
    }
    sleep_until(began + plan.heals_at).await;
}

/// Waits until each worker has come to the end of what it is at.
async fn finish(world: &World, workers: Vec<Vec<JoinHandle<()>>>) {
    let plan = &world.plan;
    let others = u32::try_from(workers.iter().map(Vec::len).sum::<usize>()).unwrap_or(u32::MAX);
    // What came late, a hold whose client has crashed, and everybody else in turn.
    let bound = plan.longest_delay()
        + 3 * plan.longest_ttl()
        + (plan.longest_hold() + plan.longest_ttl()) * others;
    let all = async {
        for worker in workers.into_iter().flatten() {
            // An error is an abort: its client has crashed.
            let _ = worker.await;
        }
    };
    if timeout(bound, all).await.is_err() {
        world.note_unfinished();
    }
}

/// Waits until the engines say that all is released, and looks whether it is.
async fn settle<S: Server>(wire: &Arc<Wire<S>>, clients: &[Locks]) {
    let (world, plan) = (&wire.world, &wire.world.plan);
    for (client, locks) in clients.iter().enumerate() {
        if wire.has_crashed(client) {
            continue;
        }
        match timeout(3 * plan.longest_ttl(), locks.settle()).await {
            Ok(()) => world.record(What::Settled { client }),
            Err(_) => world.record(What::Unsettled { client }),
        }
    }
    if !wire.was_lossless() {
        // What the engine takes for expired may stand a little longer by the store's clock.
        sleep(plan.longest_ttl() / 50).await;
    }
    if !wire.was_prompt() {
        sleep(plan.longest_delay() + plan.longest_ttl()).await;
    }
    wire.look_for_residue();
}
