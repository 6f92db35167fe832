//! The same names for the same things, with a scheduling point before each use.
//!
//! What blocks a thread is Shuttle's own. The rest never blocks, so it is the real thing.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32};
pub(crate) use shuttle::sync::{Mutex, MutexGuard};

pub(crate) type AsyncMutex<T> = Shared<tokio::sync::Mutex<T>>;
pub(crate) type Notify = Shared<tokio::sync::Notify>;
pub(crate) type OnceLock<T> = Shared<std::sync::OnceLock<T>>;

pub(crate) mod oneshot {
    use super::Shared;

    pub(crate) type Sender<T> = Shared<tokio::sync::oneshot::Sender<T>>;
    pub(crate) type Receiver<T> = Shared<tokio::sync::oneshot::Receiver<T>>;

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (Shared::of(sender), Shared::of(receiver))
    }
}

pub(crate) mod watch {
    use super::Shared;

    pub(crate) type Sender<T> = Shared<tokio::sync::watch::Sender<T>>;
    pub(crate) type Receiver<T> = Shared<tokio::sync::watch::Receiver<T>>;

    pub(crate) fn channel<T>(first: T) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = tokio::sync::watch::channel(first);
        (Shared::of(sender), Shared::of(receiver))
    }
}

/// What others use as well: every use is a scheduling point, and so is its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared<T> {
    // Dropped first.
    end: End,
    inner: T,
}

#[derive(Clone, Debug, Default)]
struct End;

/// Lets whichever task goes first that has been drawn.
pub(super) fn point() {
    // What outlives an execution is dropped outside of it.
    if shuttle::current::try_get_current_task().is_some() {
        // Unlike `yield_now`, does not wake the task, which would hide that nobody else does.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// Runs a task in the execution that is being explored, on the clock of its own.
pub(crate) fn spawn(_runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    drop(shuttle::future::spawn(task));
}

impl<T> Shared<T> {
    fn of(inner: T) -> Self {
        Self { end: End, inner }
    }
}

impl<T> Shared<tokio::sync::Mutex<T>> {
    pub(crate) fn new(inner: T) -> Self {
        Self::of(tokio::sync::Mutex::new(inner))
    }
}

impl<T> Shared<tokio::sync::watch::Sender<T>> {
    pub(crate) fn new(first: T) -> Self {
        Self::of(tokio::sync::watch::Sender::new(first))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<T> {
        Shared::of((**self).subscribe())
    }
}

impl<T> Shared<tokio::sync::oneshot::Sender<T>> {
    pub(crate) fn send(self, value: T) -> Result<(), T> {
        let Self { end, inner } = self;
        drop(end);
        inner.send(value)
    }

    pub(crate) fn is_closed(&self) -> bool {
        (**self).is_closed()
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        point();
        &self.inner
    }
}

impl<T> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        point();
        &mut self.inner
    }
}

impl<F: Future + Unpin> Future for Shared<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut **self).poll(context)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        point();
    }
}
