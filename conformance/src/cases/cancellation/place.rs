use std::cell::RefCell;
use std::task::{Context as Polling, Poll, Waker};
use std::thread;
use std::time::Duration;

use distlock_core::Result;
use tokio::runtime::{Builder, Runtime};

use super::ask::Asked;
use crate::context::Context;
use crate::failure::Failure;
use crate::polling::drop_after_polls;

/// Where a future is polled and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a task of the runtime in which it was made.
    Task,
    /// On a thread that knows nothing of tokio.
    PlainThread,
    /// There, by a panic.
    Unwinding,
    /// There, in the destructor of a thread-local.
    ThreadLocal,
    /// In another runtime, without timers.
    OtherRuntime,
    /// Among the blocking work of its own runtime.
    BlockingWork,
}

impl Place {
    /// Those that are not a task.
    pub(super) const ODD: [Self; 5] = [
        Self::PlainThread,
        Self::Unwinding,
        Self::ThreadLocal,
        Self::OtherRuntime,
        Self::BlockingWork,
    ];

    /// Polls a future so many times there, at intervals and whether it asks to be polled or not,
    /// and drops it there. Its output, if it came to one.
    pub(super) async fn poll_and_drop(
        self,
        cx: &Context,
        asked: Asked,
        polls: u32,
        pace: Duration,
    ) -> Result<Option<Result<()>>, Failure> {
        if self == Self::Task {
            return Ok(drop_after_polls(polls, pace, asked).await);
        }
        let noted = cx.clone();
        let work = move || {
            noted.note_panics_of_this_thread();
            self.poll_and_drop_here(asked, polls, pace)
        };
        let ended = match self {
            Self::BlockingWork => tokio::task::spawn_blocking(work).await?,
            _ => {
                let thread = thread::spawn(work);
                let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
                joined.unwrap_or_else(|_| {
                    assert_eq!(self, Self::Unwinding, "dropping a future panicked");
                    None
                })
            }
        };
        Ok(ended)
    }

    fn poll_and_drop_here(
        self,
        mut asked: Asked,
        polls: u32,
        pace: Duration,
    ) -> Option<Result<()>> {
        thread_local!(static LATE: RefCell<Option<Asked>> = const { RefCell::new(None) });
        // Touched before anything of tokio's is, it is destroyed after that.
        LATE.set(None);
        let runtime = (self == Self::OtherRuntime).then(|| {
            let made = Builder::new_current_thread().build();
            made.expect("a runtime can be made")
        });
        let _within = runtime.as_ref().map(Runtime::enter);
        for poll in 0..polls {
            match poll {
                0 => {}
                _ if pace.is_zero() => thread::yield_now(),
                _ => thread::sleep(pace),
            }
            let mut context = Polling::from_waker(Waker::noop());
            if let Poll::Ready(output) = asked.as_mut().poll(&mut context) {
                return Some(output);
            }
        }
        match self {
            Self::Unwinding => panic!("on purpose, with a future on the stack"),
            Self::ThreadLocal => LATE.set(Some(asked)),
            _ => drop(asked),
        }
        None
    }
}
