use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;

use crate::error::{Error, ErrorKind, Result};

/// What a backend has once for each runtime that drives claims of it: its sessions, say.
///
/// Connections are served by the runtime that opened them: one that is blocked, or has ended, is to
/// hold up no other.
pub struct PerRuntime<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    made: Mutex<HashMap<Id, Made<T>>>,
}

struct Made<T> {
    of: Arc<T>,
    /// A task that has ended only if the runtime has.
    runtime: AbortHandle,
}

impl<T> PerRuntime<T> {
    /// Nothing yet; each is made so, within its runtime.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            made: Mutex::default(),
        }
    }

    /// That of the runtime that asks.
    ///
    /// # Errors
    /// `Misconfigured` if there is none.
    pub fn get(&self) -> Result<Arc<T>> {
        let runtime = Handle::try_current().map_err(|error| {
            let message = "connections are made within the tokio runtime that is to serve them";
            Error::new(ErrorKind::Misconfigured, message).with_source(error)
        })?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // The id of a runtime that has ended may be that of another now.
        made.retain(|_, made| !made.runtime.is_finished());
        let own = made.entry(runtime.id()).or_insert_with(|| Made {
            of: Arc::new((self.make)()),
            runtime: runtime.spawn(std::future::pending::<()>()).abort_handle(),
        });
        Ok(Arc::clone(&own.of))
    }
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

impl<T> fmt::Debug for PerRuntime<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRuntime").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn each_runtime_has_its_own_for_as_long_as_it_lives() {
        let count = AtomicU32::new(0);
        let each = PerRuntime::new(move || count.fetch_add(1, Ordering::Relaxed));
        let runtime = || Builder::new_current_thread().build().unwrap();
        let (one, other) = (runtime(), runtime());
        let of =
            |runtime: &tokio::runtime::Runtime| runtime.block_on(async { *each.get().unwrap() });
        assert_eq!([of(&one), of(&other), of(&one), of(&other)], [0, 1, 0, 1]);
        drop(one);
        assert_eq!([of(&other), of(&runtime())], [1, 2]);
        assert_eq!(each.made.lock().unwrap().len(), 2);
        assert_eq!(each.get().unwrap_err().kind(), ErrorKind::Misconfigured);
    }
}
