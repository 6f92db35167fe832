use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distlock_core::backend::Signals;

/// The claims of this client that wait to be told of their grant.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<u128, Arc<Waiter>>>);

/// One that waits. Until it drops, grants are told to it.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: u128,
    waiter: Arc<Waiter>,
    waiters: Arc<Waiters>,
}

#[derive(Debug)]
struct Waiter {
    signals: Signals,
    granted: Mutex<Option<Grant>>,
}

/// That a claim was granted the name, as the server tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// When it had taken its place: another place of the same claim is not meant.
    pub(crate) arrival: u64,
    pub(crate) number: u64,
}

impl Waiters {
    pub(crate) fn add(self: &Arc<Self>, id: u128, signals: &Signals) -> Waiting {
        let waiter = Arc::new(Waiter {
            signals: signals.clone(),
            granted: Mutex::default(),
        });
        self.table().insert(id, Arc::clone(&waiter));
        Waiting {
            id,
            waiter,
            waiters: Arc::clone(self),
        }
    }

    /// Passes on what the server published.
    pub(crate) fn tell(&self, message: &[u8]) {
        let Some((id, grant)) = parsed(message) else {
            return;
        };
        let waiter = self.table().get(&id).map(Arc::clone);
        if let Some(waiter) = waiter {
            *lock(&waiter.granted) = Some(grant);
            waiter.signals.look();
        }
    }

    /// Has all of them look.
    pub(crate) fn look(&self) {
        let waiters: Vec<_> = self.table().values().map(Arc::clone).collect();
        for waiter in waiters {
            waiter.signals.look();
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u128, Arc<Waiter>>> {
        lock(&self.0)
    }
}

impl Waiting {
    /// The grant that was told, once.
    pub(crate) fn take_grant(&self) -> Option<Grant> {
        lock(&self.waiter.granted).take()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.table().remove(&self.id);
    }
}

/// Reads "id arrival number".
fn parsed(message: &[u8]) -> Option<(u128, Grant)> {
    let mut words = std::str::from_utf8(message).ok()?.split(' ');
    let id = u128::from_str_radix(words.next()?, 16).ok()?;
    let arrival = words.next()?.parse().ok()?;
    let number = words.next()?.parse().ok()?;
    let is_all = words.next().is_none();
    is_all.then_some((id, Grant { arrival, number }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_whole_or_not_at_all() {
        let grant = Grant {
            arrival: 7,
            number: 9,
        };
        assert_eq!(parsed(b"00ff 7 9"), Some((255, grant)));
        for message in [
            "", "ff", "ff 7", "ff 7 9 1", "xx 7 9", "ff -7 9", "ff 7 9.5", "\u{e9}",
        ] {
            assert_eq!(parsed(message.as_bytes()), None, "{message}");
        }
    }
}
