//! Who writes keeps others from writing: for how long, and what that costs them.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use distlock_core::Locks;
use distlock_sqlite::SqliteBackend;
use sqlx::Connection;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use crate::{TTL, folder, locks, operator, works};

/// An opening that its runtime leaves alone, wherever it has got to, keeps nobody from writing.
#[tokio::test]
async fn an_opening_that_is_left_alone() {
    #[derive(Default)]
    struct Woken(Notify);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }
    let (_folder, file) = folder();
    works(&file).await;
    let mut other = operator(&file).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut opening = pin!(SqliteBackend::open(&file));
    let mut steps = 0;
    while opening
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        woken.0.notified().await;
        let written = sqlx::raw_sql("BEGIN IMMEDIATE; COMMIT").execute(&mut other);
        assert!(written.await.is_ok(), "not after {steps} steps");
        steps += 1;
    }
    assert!(steps > 2);
}

/// Nor does a process that has many records written at once and does not come to see what became of
/// it.
#[tokio::test]
async fn a_runtime_that_is_blocked_while_it_writes() {
    const BLOCKED: Duration = Duration::from_secs(2);
    let (_folder, file) = folder();
    let locks = locks(&file).await;
    let other = thread::spawn(move || acquire_many_in_a_runtime_blocked_for(BLOCKED, &file));
    let mut longest = Duration::ZERO;
    while !other.is_finished() {
        let began = Instant::now();
        let guard = locks.lock("x").ttl(20 * TTL).acquire().await.unwrap();
        guard.release().await.unwrap();
        longest = longest.max(began.elapsed());
    }
    other.join().unwrap();
    assert!(longest < BLOCKED / 2, "kept waiting for {longest:?}");
}

/// Acquires 200 names at once where all that is ready is run once, then nothing for so long. A
/// request that is not among the first may be over before its answer is looked at.
fn acquire_many_in_a_runtime_blocked_for(time: Duration, file: &Path) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let backend = SqliteBackend::open(file).await.unwrap();
        let locks = Locks::builder().ttl(100 * TTL).build(backend).unwrap();
        tokio::spawn(async move {
            loop {
                thread::sleep(time);
                yield_now().await;
            }
        });
        let acquiring: JoinSet<_> = (0..200)
            .map(|name| locks.lock(format!("other/{name}")).acquire())
            .collect();
        let guards = acquiring.join_all().await;
        let acquired = guards.iter().filter(|guard| guard.is_ok()).count();
        assert!(acquired > 50, "only {acquired} were written");
    });
}

/// Others write four fifths of the time, each time for long: a hold is kept, and a write comes to
/// its turn before they have had many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_that_write_most_of_the_time() {
    const EACH: Duration = Duration::from_millis(100);
    let (_folder, file) = folder();
    let locks = locks(&file).await;
    let held = locks.lock("held").ttl(3 * TTL).acquire().await.unwrap();
    let mut other = operator(&file).await;
    let writing = tokio::spawn(async move {
        loop {
            let transaction = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
            sleep(EACH * 4 / 5).await;
            transaction.rollback().await.unwrap();
            sleep(EACH / 5).await;
        }
    });
    let mut longest = Duration::ZERO;
    for _ in 0..60 {
        let began = Instant::now();
        let guard = locks.lock("x").ttl(20 * TTL).acquire().await.unwrap();
        guard.release().await.unwrap();
        longest = longest.max(began.elapsed());
    }
    writing.abort();
    held.release().await.unwrap();
    assert!(longest < 10 * EACH, "waited for {longest:?}");
}
