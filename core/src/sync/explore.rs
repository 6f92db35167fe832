use std::cell::Cell;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};
use tokio::runtime::{Builder, Runtime};

use super::explored::point;

/// In so many executions each property has to hold in which each step is drawn from all tasks.
const EVEN: usize = 10_000;

/// And in so many in which some tasks go before all others, but for [`TURNS`] points: a task that
/// is held up there for long, while others do much, is hardly ever drawn otherwise.
const UNEVEN: usize = 2_500;
const TURNS: usize = 3;

/// More than any execution needs: one with more waits for what never comes.
const STEPS: usize = 20_000;

/// The time of an execution, which stands still until it is told to go on.
#[derive(Clone, Copy)]
pub(crate) struct Clock(&'static Runtime);

/// Runs `property` again and again, each time with the steps of its tasks in another order. It
/// fails if the property panics, or if all tasks wait.
///
/// The environment variable `SHUTTLE_RANDOM_SEED`, set to the seed that a failure tells, repeats
/// it.
pub(crate) fn explore<F: Future<Output = ()>>(
    property: impl Fn(Clock) -> F + Send + Sync + 'static,
) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O");
    // Never dropped: it may have wakers of an execution that failed.
    let clock = Clock(Box::leak(Box::new(runtime)));
    let _clock = clock.0.enter();
    let property = Arc::new(move || {
        fastrand::seed(0);
        let property = property(clock);
        block_on(async {
            property.await;
            others_come_to_rest().await;
        });
    });
    draw(RandomScheduler::new(EVEN), Arc::clone(&property));
    draw(PctScheduler::new(TURNS, UNEVEN), property);
}

fn draw(scheduler: impl Scheduler + 'static, execution: Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS);
    // Relaxed atomics are explored as if they were sequentially consistent.
    config.silence_warnings = true;
    Runner::new(WithIdle(scheduler), config).run(move || execution());
}

impl Clock {
    /// Lets time go by, whoever is at work meanwhile, and what it wakes wake.
    pub(crate) fn advance(self, by: Duration) {
        point();
        self.0.block_on(tokio::time::advance(by));
    }

    /// From now on time goes by in such steps whenever all tasks wait.
    pub(crate) fn run(self, step: Duration) {
        drop(shuttle::future::spawn(async move {
            IDLE.set(shuttle::current::try_get_current_task());
            loop {
                self.advance(step);
            }
        }));
    }
}

/// Lets any other task go first, as long as it likes.
pub(crate) async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets all others go on for as long as they can without time going by. What is torn down at the end
/// of an execution must not have a lock that the destructor of another needs.
async fn others_come_to_rest() {
    LAST.set(shuttle::current::try_get_current_task());
    pause().await;
    LAST.set(None);
}

thread_local! {
    /// The task that runs only when no other can.
    static IDLE: Cell<Option<TaskId>> = const { Cell::new(None) };
    /// The one that runs only when no other but that can.
    static LAST: Cell<Option<TaskId>> = const { Cell::new(None) };
}

/// Has two tasks run only when no others can.
struct WithIdle<S>(S);

impl<S: Scheduler> Scheduler for WithIdle<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        IDLE.set(None);
        LAST.set(None);
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let mut tasks = runnable.to_vec();
        for rests in [IDLE.get(), LAST.get()].into_iter().flatten() {
            if tasks.iter().any(|task| task.id() != rests) {
                tasks.retain(|task| task.id() != rests);
            }
        }
        self.0.next_task(&tasks, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
