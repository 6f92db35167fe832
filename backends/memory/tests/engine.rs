//! The engine where the store does not matter: runtimes that block or end, guards dropped in odd
//! places, paused time.

use std::cell::RefCell;
use std::future::Future;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use distlock_core::{ErrorKind, Guard, Locks, Loss};
use distlock_memory::MemoryBackend;
use tokio::runtime::{Builder, Runtime};

const TTL: Duration = Duration::from_millis(300);

fn one_worker() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn locks_on(runtime: &Runtime, store: &MemoryBackend) -> Locks {
    let _within = runtime.enter();
    Locks::builder().ttl(TTL).build(store.clone()).unwrap()
}

async fn locks_on_own_thread(store: MemoryBackend) -> Locks {
    Locks::builder()
        .ttl(TTL)
        .build_on_own_thread(async move || Ok(store))
        .await
        .unwrap()
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// P4, P5: a runtime that was blocked past the TTL has renewed nothing; the first look says
/// so, whatever timers did.
#[test]
fn a_blocked_runtime_shows_at_the_first_look() {
    one_worker().block_on(async {
        let store = MemoryBackend::new();
        let locks = Locks::builder().ttl(TTL).build(store).unwrap();
        tokio::spawn(async move {
            let guard = locks.lock("x").acquire().await.unwrap();
            thread::sleep(3 * TTL);
            assert!(!guard.is_held());
            assert_eq!(guard.valid_for(), Duration::ZERO);
            assert_eq!(poll_once(&mut guard.lost()), Poll::Ready(Loss::Expired));
            assert_eq!(guard.release().await.unwrap_err().kind(), ErrorKind::Lost);
        })
        .await
        .unwrap();
    });
}

/// On a thread of its own the engine renews while the application blocks its runtime.
#[test]
fn an_own_thread_keeps_locks_through_a_blocked_runtime() {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let locks = locks_on_own_thread(MemoryBackend::new()).await;
            let guard = locks.lock("x").acquire().await.unwrap();
            thread::sleep(5 * TTL);
            assert!(guard.is_held());
            guard.release().await.unwrap();
        });
}

/// The caller's runtime can go; locks on a thread of their own stay, and work from any thread.
#[test]
fn an_own_thread_outlives_the_runtime_that_made_it() {
    let store = MemoryBackend::new();
    let locks = one_worker().block_on(locks_on_own_thread(store));
    let elsewhere = one_worker();
    let guard = elsewhere.block_on(locks.lock("x").acquire()).unwrap();
    thread::sleep(3 * TTL);
    assert!(guard.is_held());
    drop(elsewhere);
    drop(guard);
    let guard = one_worker()
        .block_on(locks.lock("x").acquire_within(10 * TTL))
        .unwrap();
    assert!(guard.is_held());
}

/// The thread ends with the last of its locks and guards, and not before.
#[test]
fn an_own_thread_ends_with_its_last_guard() {
    thread_local! {
        /// Dropped with the thread in which the store was made.
        static ALIVE: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
    }
    let (alive, ended) = mpsc::channel::<()>();
    let guard: Guard = one_worker().block_on(async {
        let make = async move || {
            ALIVE.set(Some(alive));
            Ok(MemoryBackend::new())
        };
        let locks = Locks::builder()
            .ttl(TTL)
            .build_on_own_thread(make)
            .await
            .unwrap();
        locks.lock("x").acquire().await.unwrap()
    });
    assert_eq!(
        ended.recv_timeout(3 * TTL),
        Err(mpsc::RecvTimeoutError::Timeout),
        "a guard still needs it"
    );
    assert!(guard.is_held());
    drop(guard);
    assert_eq!(
        ended.recv_timeout(Duration::from_secs(10)),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

/// A store that cannot be made is an error, also one that panics; the thread does not stay.
#[test]
fn a_store_that_cannot_be_made_is_an_error() {
    one_worker().block_on(async {
        let refused = Locks::builder()
            .build_on_own_thread(async || {
                Err::<MemoryBackend, _>(distlock_core::Error::new(
                    ErrorKind::Unauthorized,
                    "wrong password",
                ))
            })
            .await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unauthorized);
        let make = || -> std::future::Ready<distlock_core::Result<MemoryBackend>> {
            panic!("no store today")
        };
        let panicked = Locks::builder().build_on_own_thread(make).await;
        assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Unexpected);
    });
}

/// A guard can be dropped, asked and released after its runtime has gone. It does not count as
/// held, since nobody renews it; nothing panics or hangs.
#[test]
fn after_its_runtime_has_gone_a_guard_is_lost_and_harmless() {
    let runtime = one_worker();
    let store = MemoryBackend::new();
    let locks = locks_on(&runtime, &store);
    let guard = runtime.block_on(locks.lock("x").acquire()).unwrap();
    let other = runtime.block_on(locks.lock("y").acquire()).unwrap();
    let waiting = guard.lost();
    drop(runtime);
    assert!(!guard.is_held());
    let elsewhere = one_worker();
    assert_eq!(elsewhere.block_on(waiting), Loss::Expired);
    assert_eq!(
        elsewhere.block_on(guard.release()).unwrap_err().kind(),
        ErrorKind::Lost
    );
    let refused = elsewhere.block_on(locks.lock("z").acquire()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused.to_string().contains("build_on_own_thread"),
        "{refused}"
    );
    assert!(elsewhere.block_on(locks.lock("z").try_acquire()).is_err());
    assert!(elsewhere.block_on(locks.inspect("z")).is_err());
    elsewhere.block_on(locks.settle());
    drop(other);
}

/// A runtime that ends with waiters, holds and releases under way ends, and quickly.
#[test]
fn a_runtime_ends_with_work_under_way() {
    for _ in 0..50 {
        let runtime = one_worker();
        let store = MemoryBackend::new();
        let locks = locks_on(&runtime, &store);
        let guard = runtime.block_on(locks.lock("x").acquire()).unwrap();
        for _ in 0..4 {
            runtime.spawn(locks.lock("x").acquire());
        }
        runtime.block_on(tokio::task::yield_now());
        drop(guard);
        drop(runtime);
    }
}

/// Outside of a runtime there is nothing to drive locks with, and the error says what to do.
#[test]
fn without_a_runtime_the_error_says_what_to_do() {
    let error = Locks::new(MemoryBackend::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("build_on_own_thread"), "{error}");
}

/// A guard can be asked, and dropped, in the destructor of a thread-local, also when tokio has
/// no place left there: no runtime can be entered then, and the real clock has to do.
#[test]
fn a_guard_can_be_asked_when_the_thread_has_all_but_ended() {
    /// Asks its guard as it is destroyed, and tells what it said.
    struct Late(Guard, mpsc::Sender<(bool, bool, Duration)>);
    impl Drop for Late {
        fn drop(&mut self) {
            let Self(guard, told) = self;
            let tokio_has_gone = tokio::runtime::Handle::try_current()
                .is_err_and(|error| error.is_thread_local_destroyed());
            let _ = told.send((tokio_has_gone, guard.is_held(), guard.valid_for()));
        }
    }
    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });

    let runtime = one_worker();
    let locks = locks_on(&runtime, &MemoryBackend::new());
    let guard = runtime.block_on(locks.lock("x").acquire()).unwrap();
    let (told, heard) = mpsc::channel();
    thread::spawn(move || {
        LATE.set(Some(Late(guard, told)));
        // Thread-locals are destroyed in the reverse order of their making: tokio's first.
        let handle = one_worker().handle().clone();
        drop(handle.enter());
    })
    .join()
    .unwrap();
    let (tokio_has_gone, is_held, valid_for) = heard.recv().unwrap();
    assert!(tokio_has_gone, "the test is to run when tokio has gone");
    assert!(is_held && valid_for <= TTL && valid_for > Duration::ZERO);
    let again = locks.lock("x").acquire_within(Duration::from_secs(10));
    drop(runtime.block_on(again).unwrap());
}

/// A long line ends with its runtime like a short one: whoever waits in it is told.
#[test]
fn a_long_line_ends_with_its_runtime() {
    const LINE: usize = 20_000;
    let runtime = one_worker();
    let locks = locks_on(&runtime, &MemoryBackend::new());
    let _guard = runtime.block_on(locks.lock("x").acquire()).unwrap();
    let mut line: Vec<_> = (0..LINE).map(|_| locks.lock("x").acquire()).collect();
    let line = runtime.block_on(async move {
        for asked in &mut line {
            assert!(poll_once(asked).is_pending());
        }
        line
    });
    drop(runtime);
    for mut asked in line {
        let answer = poll_once(&mut asked);
        assert!(matches!(answer, Poll::Ready(Err(_))), "{answer:?}");
    }
}

/// An acquisition works when polled by an executor that is not tokio's, and on another runtime than
/// its engine's.
#[test]
fn an_acquisition_can_be_polled_anywhere() {
    let runtime = one_worker();
    let locks = locks_on(&runtime, &MemoryBackend::new());
    let mut acquire = locks.lock("x").acquire();
    let guard = loop {
        match poll_once(&mut acquire) {
            Poll::Ready(guard) => break guard.unwrap(),
            Poll::Pending => thread::sleep(Duration::from_millis(1)),
        }
    };
    // A time limit needs no timer of the caller's.
    let mut limited = locks.lock("x").acquire_within(TTL);
    let error = loop {
        match poll_once(&mut limited) {
            Poll::Ready(result) => break result.unwrap_err(),
            Poll::Pending => thread::sleep(Duration::from_millis(1)),
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let other = Builder::new_current_thread().build().unwrap();
    other.block_on(guard.release()).unwrap();
}

/// A forgotten guard holds on, renewed, until its `max_hold`.
#[test]
fn a_forgotten_guard_holds_until_its_max_hold() {
    one_worker().block_on(async {
        let locks = Locks::builder()
            .ttl(TTL)
            .build(MemoryBackend::new())
            .unwrap();
        #[expect(
            clippy::mem_forget,
            clippy::disallowed_methods,
            reason = "what happens then is the point"
        )]
        std::mem::forget(locks.lock("x").max_hold(4 * TTL).acquire().await.unwrap());
        tokio::time::sleep(2 * TTL).await;
        assert!(locks.lock("x").try_acquire().await.unwrap().is_none());
        drop(
            locks
                .lock("x")
                .acquire_within(Duration::from_secs(10))
                .await
                .unwrap(),
        );
    });
}

/// Paused time: hours of holding and a TTL's expiry pass at once, and none of it is real.
#[tokio::test(start_paused = true)]
async fn paused_time_is_followed() {
    let hour = Duration::from_secs(3600);
    let real = std::time::Instant::now();
    let store = MemoryBackend::new();
    let locks = Locks::new(store.clone()).unwrap();
    let other = Locks::new(store).unwrap();
    let guard = locks.lock("x").acquire().await.unwrap();
    tokio::time::sleep(hour).await;
    assert!(guard.is_held(), "renewed all the while");

    let limited = other.lock("x").acquire_within(hour);
    assert_eq!(limited.await.unwrap_err().kind(), ErrorKind::TimedOut);

    // Time that passes without the engine being able to do anything: a starved process.
    tokio::time::advance(Duration::from_secs(16)).await;
    assert!(!guard.is_held());
    assert_eq!(guard.lost().await, Loss::Expired);
    let next = other.lock("x").acquire().await.unwrap();
    assert!(next.token() > guard.token());
    assert!(real.elapsed() < Duration::from_secs(30));
}

/// A TTL of a year is neither cut short nor a reason to wait for a year when something is wrong.
#[tokio::test(start_paused = true)]
async fn a_ttl_of_a_year() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let locks = Locks::builder()
        .ttl(year)
        .build(MemoryBackend::new())
        .unwrap();
    let guard = locks.lock("x").acquire().await.unwrap();
    assert!(guard.valid_for() > year.mul_f64(0.98));
    let limited = locks.lock("x").acquire_within(Duration::MAX);
    let mut limited = Box::pin(limited);
    assert!(
        tokio::time::timeout(Duration::from_secs(5), &mut limited)
            .await
            .is_err()
    );
    guard.release().await.unwrap();
    drop(limited.await.unwrap());
}

/// `ensure` renews when too little is left, says so when no renewal can help, and never sends more
/// than it must.
#[tokio::test(start_paused = true)]
async fn ensure_renews_when_too_little_is_left() {
    let second = Duration::from_secs(1);
    let locks = Locks::builder()
        .ttl(15 * second)
        .build(MemoryBackend::new())
        .unwrap();
    let guard = locks.lock("x").acquire().await.unwrap();
    tokio::time::sleep(3 * second).await;
    assert!(guard.valid_for() < 13 * second);
    guard.ensure(14 * second).await.unwrap();
    assert!(guard.valid_for() >= 14 * second);
    assert_eq!(
        guard.ensure(15 * second).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );

    let short = locks
        .lock("y")
        .max_hold(5 * second)
        .acquire()
        .await
        .unwrap();
    short.ensure(4 * second).await.unwrap();
    assert_eq!(
        short.ensure(6 * second).await.unwrap_err().kind(),
        ErrorKind::Lost
    );
    assert!(short.is_held(), "it is still held for less");
}

/// A label, a namespace and a drift that are not acceptable are told when the locks are built.
#[tokio::test]
async fn options_are_checked_when_locks_are_built() {
    let store = MemoryBackend::new();
    for builder in [
        Locks::builder().namespace(""),
        Locks::builder().namespace("a\nb"),
        Locks::builder().label(""),
        Locks::builder().label("x".repeat(257)),
        Locks::builder().ttl(Duration::ZERO),
        Locks::builder().ttl(Duration::MAX),
        Locks::builder().drift(1.0, Duration::ZERO),
        Locks::builder().drift(0.6, Duration::ZERO),
        Locks::builder().drift(0.0, Duration::from_secs(8)),
        Locks::builder().drift(-0.1, Duration::ZERO),
        Locks::builder().drift(f64::NAN, Duration::ZERO),
    ] {
        let error = builder.clone().build(store.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{builder:?}");
        let store = store.clone();
        let error = builder
            .clone()
            .build_on_own_thread(async move || Ok(store))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{builder:?}");
    }
}
