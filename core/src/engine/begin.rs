//! Work that begins where it is asked for, and becomes a task when there is more to do.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::Handle;

use crate::sync::{self, Mutex, MutexGuard};

/// The work that has begun and waits for the first time. It is no task yet, so that this has to end
/// it when the runtime shuts down.
#[derive(Debug, Default)]
pub(super) struct Starts {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<u64, Arc<Started>>,
    next: u64,
    ended: bool,
}

/// One piece of work until its task begins; also what wakes it.
struct Started {
    number: u64,
    runtime: Handle,
    starts: Arc<Starts>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// There when it has been polled once, until its task takes it.
    work: Option<Work>,
    /// There is more to do.
    woken: bool,
    /// Its task has it, or it has ended with its runtime.
    over: bool,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Starts {
    /// Begins this work on the spot, and leaves it to a task on the runtime as soon as there is
    /// more to do. Where another runtime runs, or none, it is a task from the beginning.
    ///
    /// Most work is a request, sent at once, and its answer. A task that has only begun to run
    /// would cost a turn of the scheduler more before the request leaves; on a runtime of several
    /// threads that is often one turn too many for the one thread, and it wakes another to take
    /// over.
    pub(super) fn begin(
        self: &Arc<Self>,
        runtime: &Handle,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let is_here = Handle::try_current().is_ok_and(|current| current.id() == runtime.id());
        if !is_here {
            return sync::spawn(runtime, work);
        }
        let Some(started) = self.enter(runtime) else {
            return;
        };
        let mut work: Work = Box::pin(work);
        let waker = Waker::from(Arc::clone(&started));
        // A panic ends the work, as it would end a task: tokio's timers do in a runtime that has
        // ended.
        let poll = AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker)));
        match catch_unwind(poll) {
            Ok(Poll::Pending) => started.leave(work),
            Ok(Poll::Ready(())) | Err(_) => self.forget(started.number),
        }
    }

    /// Ends all, one after the other: the end of one may wake the next, which must not end within
    /// it. From now on nothing begins.
    pub(super) fn end(&self) {
        let waiting = {
            let mut table = self.table();
            table.ended = true;
            std::mem::take(&mut table.waiting)
        };
        for started in waiting.into_values() {
            drop(started.take());
        }
    }

    /// A place for work that is about to begin; none if all have ended.
    fn enter(self: &Arc<Self>, runtime: &Handle) -> Option<Arc<Started>> {
        let mut table = self.table();
        if table.ended {
            return None;
        }
        let number = table.next;
        table.next += 1;
        let started = Arc::new(Started {
            number,
            runtime: runtime.clone(),
            starts: Arc::clone(self),
            progress: Mutex::default(),
        });
        table.waiting.insert(number, Arc::clone(&started));
        Some(started)
    }

    fn forget(&self, number: u64) {
        self.table().waiting.remove(&number);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Started {
    /// Leaves the work until there is more to do.
    fn leave(self: Arc<Self>, work: Work) {
        let mut progress = self.progress();
        if progress.over {
            // What ends with it may come back to this.
            drop(progress);
            return drop(work);
        }
        progress.work = Some(work);
        let woken = progress.woken;
        drop(progress);
        if woken {
            self.go_on();
        }
    }

    /// Has a task go on with the work. The task takes it when it runs, and not before: it never
    /// does in a runtime that shuts down.
    fn go_on(self: Arc<Self>) {
        let runtime = self.runtime.clone();
        sync::spawn(&runtime, async move {
            let work = self.take();
            self.starts.forget(self.number);
            drop(self);
            if let Some(work) = work {
                work.await;
            }
        });
    }

    fn take(&self) -> Option<Work> {
        let mut progress = self.progress();
        progress.over = true;
        progress.work.take()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Started {
    fn wake(self: Arc<Self>) {
        let mut progress = self.progress();
        let is_first = !std::mem::replace(&mut progress.woken, true);
        let goes_on = is_first && progress.work.is_some();
        drop(progress);
        if goes_on {
            self.go_on();
        }
    }
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::oneshot;
    use tokio::sync::oneshot::error::TryRecvError;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_can_be_done_is_done_on_the_spot() {
        let starts = Arc::new(Starts::default());
        let (done, mut is_done) = oneshot::channel();
        starts.begin(&Handle::current(), async { tell(done) });
        assert!(is_done.try_recv().is_ok());
        assert!(starts.table().waiting.is_empty());
    }

    #[tokio::test]
    async fn what_waits_goes_on_in_a_task_when_it_is_woken() {
        let starts = Arc::new(Starts::default());
        let (go, may_go) = oneshot::channel();
        let (done, mut is_done) = oneshot::channel();
        starts.begin(&Handle::current(), async {
            may_go.await.expect("it is told to go on");
            yield_now().await;
            tell(done);
        });
        yield_now().await;
        assert!(is_done.try_recv().is_err());
        tell(go);
        soon(is_done).await;
        assert!(starts.table().waiting.is_empty());
    }

    #[tokio::test]
    async fn what_is_woken_before_it_waits_goes_on_once() {
        let starts = Arc::new(Starts::default());
        let polls = Arc::new(AtomicU32::new(0));
        let (done, is_done) = oneshot::channel();
        let counted = Arc::clone(&polls);
        let mut done = Some(done);
        let work = std::future::poll_fn(move |context| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                context.waker().wake_by_ref();
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            tell(done.take().expect("it is polled twice"));
            Poll::Ready(())
        });
        starts.begin(&Handle::current(), work);
        soon(is_done).await;
        yield_now().await;
        assert_eq!(polls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_panic_ends_nothing_else() {
        let starts = Arc::new(Starts::default());
        let (held, mut is_held) = oneshot::channel::<()>();
        starts.begin(&Handle::current(), async move {
            let _held = held;
            panic!("as it begins");
        });
        assert_eq!(is_held.try_recv(), Err(TryRecvError::Closed));
        assert!(starts.table().waiting.is_empty());
    }

    #[test]
    fn elsewhere_it_is_a_task_of_its_runtime() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        let (done, is_done) = oneshot::channel();
        let starts = Arc::new(Starts::default());
        starts.begin(runtime.handle(), async {
            // An error means that nobody waits for it any more.
            let _ = done.send(thread::current().id());
        });
        let worker = is_done.blocking_recv().expect("it has run");
        assert_ne!(worker, thread::current().id());
    }

    /// Each waits for the end of the one before, and so is woken by it.
    #[test]
    fn a_long_line_ends_one_after_the_other() {
        let runtime = small_runtime();
        let starts = Arc::new(Starts::default());
        let (first, mut before) = oneshot::channel::<()>();
        let here = runtime.enter();
        for _ in 0..20_000 {
            let (own, next) = oneshot::channel::<()>();
            starts.begin(&Handle::current(), async move {
                let _own = own;
                let _ = before.await;
            });
            before = next;
        }
        drop(here);
        drop(runtime);
        drop(first);
        assert_eq!(before.try_recv(), Err(TryRecvError::Empty));
        starts.end();
        assert_eq!(before.try_recv(), Err(TryRecvError::Closed));
    }

    /// Though what would wake it stays.
    #[test]
    fn what_is_polled_as_all_ends_ends_too() {
        let runtime = small_runtime();
        let _here = runtime.enter();
        let starts = Arc::new(Starts::default());
        let (held, mut is_held) = oneshot::channel::<()>();
        let (keep, _waker) = std::sync::mpsc::channel();
        let all = Arc::clone(&starts);
        starts.begin(&Handle::current(), async move {
            let _held = held;
            std::future::poll_fn(|context| {
                all.end();
                keep.send(context.waker().clone()).expect("it is kept");
                Poll::<()>::Pending
            })
            .await;
        });
        assert_eq!(is_held.try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn nothing_begins_after_the_end() {
        let runtime = small_runtime();
        let _here = runtime.enter();
        let starts = Arc::new(Starts::default());
        starts.end();
        let (done, mut is_done) = oneshot::channel();
        starts.begin(&Handle::current(), async { tell(done) });
        assert_eq!(is_done.try_recv(), Err(TryRecvError::Closed));
    }

    fn small_runtime() -> Runtime {
        Builder::new_current_thread().build().expect("a runtime")
    }

    fn tell(who: oneshot::Sender<()>) {
        who.send(()).expect("somebody waits");
    }

    async fn soon(done: oneshot::Receiver<()>) {
        timeout(Duration::from_secs(20), done)
            .await
            .expect("a task runs")
            .expect("to its end");
    }
}
