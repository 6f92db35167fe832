use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::sync::{AtomicBool, Notify, OnceLock};

/// Where a backend tells the engine what it learns unasked.
///
/// May be called from any thread at any time; never blocks. What was told stays told until the
/// engine acts on it, so nothing is missed while a request is under way, and telling too often is
/// harmless. It does not keep the claim alive: signals of a claim that has ended go nowhere.
#[derive(Clone)]
pub struct Signals(Weak<dyn Listener>);

/// Who hears what is told to [`Signals`]: the engine, or what stands between it and a backend in a
/// test.
pub trait Listener: Send + Sync {
    /// As [`Signals::look`].
    fn look(&self);

    /// As [`Signals::gone`].
    fn gone(&self);
}

/// The engine's end of [`Signals`].
#[derive(Default)]
pub(crate) struct SignalState {
    look: Notify,
    gone: AtomicBool,
    watched: OnceLock<Weak<dyn Watched>>,
}

/// Who is to be told at once, on the teller's thread, that the hold is gone.
pub(crate) trait Watched: Send + Sync {
    fn gone(self: Arc<Self>);
}

impl Signals {
    /// Asking again may be answered differently: the lock may be free, the own place may have
    /// moved.
    pub fn look(&self) {
        if let Some(listener) = self.0.upgrade() {
            listener.look();
        }
    }

    /// The store says that the hold, or the place in line, is no more.
    pub fn gone(&self) {
        if let Some(listener) = self.0.upgrade() {
            listener.gone();
        }
    }

    /// Whether nobody listens any more, so that a backend can let go of its end.
    pub fn is_closed(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Signals to this listener, for as long as it is there.
    pub fn to<L: Listener + 'static>(listener: &Arc<L>) -> Self {
        let listener: Weak<L> = Arc::downgrade(listener);
        Self(listener)
    }

    /// Signals that nobody listens to.
    pub(crate) fn ignored() -> Self {
        Self(Weak::<SignalState>::new())
    }
}

impl Listener for SignalState {
    fn look(&self) {
        self.look.notify_one();
    }

    fn gone(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.look.notify_one();
        self.tell();
    }
}

impl SignalState {
    /// Resolves when the backend has told something since the last time.
    pub(crate) async fn looked(&self) {
        self.look.notified().await;
    }

    /// From now on, `watched` is told at once; also if the hold was said to be gone before.
    pub(crate) fn watch(&self, watched: Weak<dyn Watched>) {
        // A claim is granted to the user once; its signals have one hold to tell.
        let _ = self.watched.set(watched);
        if self.gone.load(Ordering::SeqCst) {
            self.tell();
        }
    }

    /// Forgets that the place in line was said to be gone: the claim asks anew.
    pub(crate) fn ask_anew(&self) {
        self.gone.store(false, Ordering::SeqCst);
    }

    fn tell(&self) {
        if let Some(watched) = self.watched.get().and_then(Weak::upgrade) {
            watched.gone();
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl fmt::Debug for SignalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalState")
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}
