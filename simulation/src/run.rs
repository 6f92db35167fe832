use std::sync::Arc;
use std::time::Duration;

use distlock_core::Locks;
use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use crate::backend::SimulatedBackend;
use crate::bug::Bug;
use crate::check::{self, Violation};
use crate::event::What;
use crate::history::History;
use crate::panics;
use crate::plan::Plan;
use crate::worker::Worker;
use crate::world::World;

/// What is not left to the seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// The drift margin of the clients; that of the library if none.
    pub drift: Option<(f64, Duration)>,
    /// How fast the store's clock runs; drawn from within the margin if none.
    pub server_rate: Option<f64>,
    /// What is wrong with the store.
    pub bug: Option<Bug>,
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
/// If the runtime cannot be made, or the set-up's drift is not acceptable.
pub fn run(seed: u64, setup: &Setup) -> Run {
    // The engine draws its jitter from the thread's.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng, setup);
    let calm_from = plan.heals_at + plan.longest_delay() + plan.longest_ttl();
    let longest_ttl = plan.longest_ttl();
    let (history, panics) = panics::seen_during(|| {
        let history = runtime.block_on(async {
            let world = World::new(plan, rng, setup.bug);
            live(&world, setup).await;
            world.take_history()
        });
        // What is left of the engines ends here, which must not panic either.
        drop(runtime);
        history
    });
    let mut violations = check::all(&history, calm_from, longest_ttl);
    violations.extend(panics.into_iter().map(Violation::panic));
    Run {
        history,
        violations,
    }
}

async fn live(world: &Arc<World>, setup: &Setup) {
    let clients: Vec<_> = (0..world.plan.ttls.len())
        .map(|client| locks(world, client, setup))
        .collect();
    let workers: Vec<Vec<JoinHandle<()>>> = clients
        .iter()
        .enumerate()
        .map(|(client, locks)| {
            (0..world.plan.workers)
                .map(|_| tokio::spawn(Worker::new(world, client, locks).work()))
                .collect()
        })
        .collect();
    suffer(world, &workers).await;
    world.heal();
    finish(world, workers).await;
    settle(world, &clients).await;
}

fn locks(world: &Arc<World>, client: usize, setup: &Setup) -> Locks {
    let mut builder = Locks::builder()
        .ttl(world.plan.ttls[client])
        .label(format!("client {client}"));
    if let Some((share, constant)) = setup.drift {
        builder = builder.drift(share, constant);
    }
    builder
        .build(SimulatedBackend::new(client, world))
        .expect("within a runtime, with a TTL that the store takes")
}

/// What is planned to go wrong does.
async fn suffer(world: &World, workers: &[Vec<JoinHandle<()>>]) {
    let began = tokio::time::Instant::now();
    let mut disasters = world.plan.disasters.clone();
    disasters.sort_by_key(|(at, _)| *at);
    for (at, disaster) in disasters {
        sleep_until(began + at).await;
        world.befall(disaster);
        for (client, workers) in workers.iter().enumerate() {
            if world.has_crashed(client) {
                workers.iter().for_each(JoinHandle::abort);
            }
        }
    }
    sleep_until(began + world.plan.heals_at).await;
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
        world.record(What::Starved { op: 0 });
    }
}

/// Waits until the engines say that all is released, and looks whether it is.
async fn settle(world: &Arc<World>, clients: &[Locks]) {
    let plan = &world.plan;
    for (client, locks) in clients.iter().enumerate() {
        if world.has_crashed(client) {
            continue;
        }
        match timeout(3 * plan.longest_ttl(), locks.settle()).await {
            Ok(()) => world.record(What::Settled { client }),
            Err(_) => world.record(What::Unsettled { client }),
        }
    }
    if world.was_lossless() {
        return world.look_for_residue();
    }
    // What the engine takes for expired may stand a little longer by the store's clock.
    sleep(plan.longest_ttl() / 50).await;
    if !world.was_prompt() {
        sleep(plan.longest_delay() + plan.longest_ttl()).await;
    }
    world.look_for_residue();
}
