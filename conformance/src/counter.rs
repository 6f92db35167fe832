use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use distlock_core::FencingToken;
use tokio::time::sleep;

/// What a lock protects in a case: a counter that loses updates if two work on it at once, and that
/// notices who works on it together.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    value: AtomicU64,
    greatest_token: AtomicU64,
    readers: AtomicU32,
    writers: AtomicU32,
}

impl Counter {
    /// Adds one, in two steps with a pause between; fails if anybody else is there, or was there
    /// with a later token.
    pub(crate) async fn add_one(&self, token: FencingToken) {
        let (readers, writers) = (
            self.readers.load(Ordering::SeqCst),
            self.writers.fetch_add(1, Ordering::SeqCst),
        );
        assert_eq!(
            (readers, writers),
            (0, 0),
            "readers and writers beside an exclusive holder"
        );
        let earlier = self.greatest_token.swap(token.get(), Ordering::SeqCst);
        assert!(
            earlier < token.get(),
            "token {token} of a holder that came after that of token {earlier}"
        );
        let value = self.value.load(Ordering::SeqCst);
        sleep(Duration::from_micros(fastrand::u64(0..500))).await;
        self.value.store(value + 1, Ordering::SeqCst);
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Stays for a moment, beside no more than `limit - 1` others of the kind, and no writer.
    pub(crate) async fn share(&self, limit: u32) {
        let (readers, writers) = (
            self.readers.fetch_add(1, Ordering::SeqCst),
            self.writers.load(Ordering::SeqCst),
        );
        assert_eq!(writers, 0, "writers beside a shared holder");
        assert!(
            readers < limit,
            "{readers} beside one more, where {limit} are the limit"
        );
        sleep(Duration::from_micros(fastrand::u64(0..500))).await;
        self.readers.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn value(&self) -> u64 {
        self.value.load(Ordering::SeqCst)
    }
}
