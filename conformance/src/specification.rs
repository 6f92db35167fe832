//! The specification, run beside the store: random scripts of requests are put to the store and to
//! a [`LockQueue`](distlock_core::queue::LockQueue), and both must answer alike.
//!
//! What a store may do differently, and is not held to:
//! * Who has been granted a name may find out at its next look. So each claim whose turn it is by
//!   the queue looks at once, in order, and must find that it holds.
//! * A store that is not fair, or only up to so many waiters, serves those beyond in any order. So
//!   nobody asks while that many wait.
//! * A look may leave the place in line as it is, if that was refreshed a short while ago.
//! * Numbers need not be those of the queue. They grow from grant to grant, and stay while a hold
//!   lasts.
//! * `inspect` may lag a little, and shows what the store knows. What it shows of a hold's time is
//!   no less than what the holder was told.
//!
//! Wake-ups are left to the cases that have an engine: the clients here run only while they ask.

mod answer;
mod beside;
mod claim;
mod model;
mod script;
mod seed;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use distlock_core::Deadline;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::failure::Unmet;

use beside::{Beside, Cut};
pub(crate) use script::Time;
use script::{Script, scripts};
use seed::Seed;

/// For how long, and in how many tries at the most, a script that fails is made shorter.
const SHRINK_MILLIS: u32 = 25_000;
const SHRINK_TRIES: u32 = 1_000;

/// Runs random scripts until the deadline, so many at a time, and on until one of them could be run
/// to its end. Fails with the shortest script that the store answers otherwise than the queue.
pub(crate) async fn hold_to_the_queue(
    cx: &Context,
    time: Time,
    at_a_time: usize,
    until: Deadline,
) -> Result<(), Unmet> {
    let given = Seed::given()?;
    let at_last = Deadline::within(cx.case_limit() / 2);
    let completed = Arc::new(AtomicU32::new(0));
    let mut lanes = JoinSet::new();
    for _ in 0..given.map_or(at_a_time, |_| 1) {
        let (cx, handle, completed) = (cx.clone(), Handle::current(), Arc::clone(&completed));
        lanes.spawn_blocking(move || {
            cx.note_panics_of_this_thread();
            loop {
                let seed = given.unwrap_or_else(Seed::new);
                let done = run_script(&cx, &handle, time, seed)?;
                let done = done + completed.fetch_add(done, Ordering::Relaxed);
                let until = if done == 0 { at_last } else { until };
                if given.is_some() || until.remaining().is_zero() {
                    return Ok(());
                }
            }
        });
    }
    for lane in lanes.join_all().await {
        lane?;
    }
    if completed.load(Ordering::Relaxed) == 0 {
        return Err(Unmet(
            "the machine, or the store, is too slow to run one script before the TTL of its claims \
             has passed; give the harness a longer TTL"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Runs the script of this seed; how many could be run to the end.
fn run_script(cx: &Context, handle: &Handle, time: Time, seed: Seed) -> Result<u32, Unmet> {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_time: SHRINK_MILLIS,
        max_shrink_iters: SHRINK_TRIES,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.bytes());
    let completed = Cell::new(0);
    let told = Cell::new(String::new());
    let result = TestRunner::new_with_rng(config, rng).run(
        &scripts(cx.capabilities(), time),
        |script: Script| match handle.block_on(Beside::run(cx, &script)) {
            Ok(()) => {
                completed.set(1);
                Ok(())
            }
            Err(Cut::TooSlow) => Ok(()),
            Err(Cut::Differs(story)) => {
                told.set(story);
                Err(TestCaseError::fail("the store and the queue differ"))
            }
        },
    );
    match result {
        Ok(()) => Ok(completed.get()),
        Err(TestError::Fail(..)) => Err(Unmet(format!(
            "the store does not do as the specification says ({seed}):\n{}",
            told.take()
        ))),
        Err(error) => Err(Unmet(error.to_string())),
    }
}
