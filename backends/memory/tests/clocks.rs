//! The engine and its callers, where their clocks differ: it is the engine's that counts.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use distlock_core::{Acquire, ErrorKind, Locks};
use distlock_memory::MemoryBackend;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::advance;

const TTL: Duration = Duration::from_secs(12);
const LIMIT: Duration = Duration::from_millis(400);
const HOUR: Duration = Duration::from_secs(3600);

/// A runtime whose time stands still until it is told to go on.
fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// How long it really takes until this one is told that its time is over.
fn times_out_after(mut limited: Acquire) -> Duration {
    let began = Instant::now();
    loop {
        if let Poll::Ready(result) = poll_once(&mut limited) {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
            return began.elapsed();
        }
        assert!(began.elapsed() < TTL, "{LIMIT:?} do not end");
        thread::sleep(Duration::from_millis(1));
    }
}

/// P4, P8: locks with a thread of their own live in real time, however far behind it, or ahead of
/// it, a caller on paused time is.
#[test]
fn a_caller_on_paused_time_has_the_real_time_of_an_own_thread() {
    paused().block_on(async {
        let store = MemoryBackend::new();
        let locks = Locks::builder()
            .ttl(TTL)
            .build_on_own_thread(async move || Ok(store))
            .await
            .unwrap();
        thread::sleep(2 * LIMIT);
        for ahead in [Duration::ZERO, HOUR] {
            advance(ahead).await;
            let guard = locks.lock("x").acquire().await.unwrap();
            advance(ahead).await;
            assert!(guard.is_held(), "lost by the caller's clock");
            let valid_for = guard.valid_for();
            assert!(valid_for < TTL, "{valid_for:?} of {TTL:?}");
            guard.while_held(yield_now()).await.unwrap();
            guard.ensure(TTL / 2).await.unwrap();

            let took = times_out_after(locks.lock("x").acquire_within(LIMIT));
            assert!(took >= LIMIT, "told after {took:?} of {LIMIT:?}");
            guard.release().await.unwrap();
        }
    });
}

/// The other way round: the time of locks on a paused runtime is that of the runtime, also for a
/// thread that knows only the real one.
#[test]
fn a_caller_on_real_time_has_the_paused_time_of_the_engine() {
    let runtime = paused();
    let (locks, guard) = runtime.block_on(async {
        advance(HOUR).await;
        let builder = Locks::builder().ttl(TTL);
        let locks = builder.build(MemoryBackend::new()).unwrap();
        let guard = locks.lock("x").acquire().await.unwrap();
        (locks, guard)
    });
    assert!(guard.is_held());
    let valid_for = guard.valid_for();
    assert!(valid_for < TTL, "{valid_for:?} of {TTL:?}");

    let mut limited = locks.lock("x").acquire_within(LIMIT);
    assert!(poll_once(&mut limited).is_pending());
    runtime.block_on(advance(LIMIT / 2));
    assert!(poll_once(&mut limited).is_pending(), "told too early");
    let error = runtime.block_on(limited).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    runtime.block_on(advance(TTL));
    assert!(!guard.is_held() && guard.valid_for().is_zero());
}
