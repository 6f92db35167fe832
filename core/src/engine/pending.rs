use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use crate::name::Name;
use crate::sync::{Mutex, MutexGuard, Notify};

/// The releases and withdrawals under way, so that `settle` and `try_acquire` can wait for those
/// begun before them.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    table: Mutex<Table>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: BTreeSet<u64>,
    of_name: HashMap<Name, BTreeSet<u64>>,
}

/// One release or withdrawal under way, until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    pending: Arc<Pending>,
    number: u64,
    name: Name,
}

impl Pending {
    pub(crate) fn open(self: &Arc<Self>, name: &Name) -> Ticket {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.open.insert(number);
        table
            .of_name
            .entry(name.clone())
            .or_default()
            .insert(number);
        drop(table);
        Ticket {
            pending: Arc::clone(self),
            number,
            name: name.clone(),
        }
    }

    /// Resolves once all that was open at the call is closed.
    pub(crate) async fn settled(&self) {
        self.until_past(|table| &table.open).await;
    }

    /// Resolves once all of this name that was open at the call is closed.
    pub(crate) async fn name_settled(&self, name: &Name) {
        const NONE: &BTreeSet<u64> = &BTreeSet::new();
        self.until_past(|table| table.of_name.get(name).unwrap_or(NONE))
            .await;
    }

    async fn until_past(&self, open: impl Fn(&Table) -> &BTreeSet<u64>) {
        let limit = self.table().next;
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if open(&self.table())
                .first()
                .is_none_or(|oldest| *oldest >= limit)
            {
                return;
            }
            closed.await;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut table = self.pending.table();
        table.open.remove(&self.number);
        if let Some(numbers) = table.of_name.get_mut(&self.name) {
            numbers.remove(&self.number);
            if numbers.is_empty() {
                table.of_name.remove(&self.name);
            }
        }
        drop(table);
        self.pending.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn waits_for_what_was_open_and_for_nothing_newer() {
        let pending = Arc::new(Pending::default());
        let (a, b) = (Name::new("a").unwrap(), Name::new("b").unwrap());
        pending.settled().await;

        let first = pending.open(&a);
        pending.name_settled(&b).await;
        let mut settled = std::pin::pin!(pending.settled());
        assert!(
            tokio::time::timeout(Duration::ZERO, &mut settled)
                .await
                .is_err()
        );
        let _newer = pending.open(&a);
        assert!(
            tokio::time::timeout(Duration::ZERO, &mut settled)
                .await
                .is_err()
        );
        drop(first);
        settled.await;
    }

    #[tokio::test]
    async fn keeps_nothing_of_what_is_closed() {
        let pending = Arc::new(Pending::default());
        drop(pending.open(&Name::new("a").unwrap()));
        assert!(pending.table().open.is_empty() && pending.table().of_name.is_empty());
    }
}
