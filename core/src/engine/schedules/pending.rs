use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::pending::Pending;
use super::{name, spawn};
use crate::sync::explore;

#[test]
fn settled_waits_for_all_that_was_open_and_then_returns() {
    explore(|_| async move {
        let pending = Arc::new(Pending::default());
        let open = Arc::new(AtomicUsize::new(2));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (ticket, open) = (pending.open(&name()), Arc::clone(&open));
                let newer = Arc::clone(&pending);
                spawn(async move {
                    open.fetch_sub(1, Ordering::SeqCst);
                    drop(ticket);
                    drop(newer.open(&name()));
                })
            })
            .collect();
        let by_name = {
            let (pending, open) = (Arc::clone(&pending), Arc::clone(&open));
            spawn(async move {
                pending.name_settled(&name()).await;
                assert_eq!(open.load(Ordering::SeqCst), 0);
            })
        };
        pending.settled().await;
        assert_eq!(open.load(Ordering::SeqCst), 0);
        by_name.await.unwrap();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
