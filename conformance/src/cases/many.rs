//! P14: one `Locks` serves thousands of claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use distlock_core::backend::Backend;
use distlock_core::{Deadline, Error, Guard, Locks, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, soon, within};
use crate::counter::Counter;
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_thousand_names_held_at_once),
        Case::of(two_hundred_waiters_on_one_name),
        Case::of(many_holds_are_renewed_together).long(),
        Case::of(many_readers_of_one_name).needs([Need::Shared]),
        Case::of(many_permits_of_one_name).needs([Need::Permits]),
        Case::of(locks_that_share_a_backend_end_apart),
        Case::of(the_last_of_the_locks_closes_the_store),
        Case::of(trouble_with_some_names_is_none_for_others),
        Case::of(a_runtime_that_is_blocked_holds_up_no_other),
    ]
}

/// Several `Locks` over one backend: the end of one is nothing to the others.
async fn locks_that_share_a_backend_end_apart(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let shared: Arc<dyn Backend> = Arc::from(cx.backend().await?);
    let one = cx.builder().build(Arc::clone(&shared))?;
    let other = cx.builder().build(shared)?;
    let name = cx.name();
    let guard = other.lock(&name).ttl(ttl).acquire().await?;
    one.lock(cx.name()).acquire().await?.release().await?;
    drop(one);
    sleep(2 * ttl).await;
    assert!(guard.is_held(), "renewed, though the other has ended");
    guard.release().await?;
    other.lock(&name).acquire().await?.release().await?;
    Ok(())
}

/// The store is closed once, when the last that was made from the locks has gone: neither before,
/// nor never.
async fn the_last_of_the_locks_closes_the_store(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let guard = locks.lock(cx.name()).acquire().await?;
    drop(locks.clone());
    drop(locks);
    sleep(Duration::from_millis(50)).await;
    assert!(guard.is_held() && faults.closed() == 0, "closed while held");
    guard.release().await?;
    let closed = async {
        while faults.closed() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the end of the store's client", closed).await?;
    assert_eq!(faults.closed(), 1, "times that the store was closed");
    Ok(())
}

/// The store does not answer what is asked of three names, one for each kind of request; whatever
/// is asked of others by the same client meanwhile is done without waiting for that.
async fn trouble_with_some_names_is_none_for_others(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let (renewed, released) = (
        locks.lock(cx.name()).acquire().await?,
        locks.lock(cx.name()).acquire().await?,
    );
    for verb in [Verb::Attempt, Verb::Renew, Verb::Release] {
        faults.add(verb, Which::Nth(1), Fault::Hang);
    }
    let _asked = tokio::spawn(locks.lock(cx.name()).acquire());
    soon("an attempt", faults.seen(Verb::Attempt, 3)).await?;
    drop(released);
    soon("a release", faults.seen(Verb::Release, 1)).await?;
    let validity = renewed.valid_for();
    let _renewed = tokio::spawn(async move { renewed.ensure(validity).await });
    soon("a renewal", faults.seen(Verb::Renew, 1)).await?;

    let lock = locks.lock(cx.name());
    let going_on = async {
        let guard = lock.acquire().await?;
        // Renewed, whether that leaves as much or not.
        let _ = guard.ensure(guard.valid_for()).await;
        assert!(lock.try_acquire().await?.is_none(), "beside its holder");
        drop(guard);
        let guard = lock.try_acquire().await?;
        assert!(guard.is_some(), "of a lock that was dropped");
        locks.inspect(cx.name()).await
    };
    within(ALLOWANCE, "what is asked of other names", going_on).await??;
    Ok(())
}

/// Several `Locks` over one backend, each in a runtime of its own. One runtime is blocked, with
/// requests under way; the claims of the other on the same names go on within half of the time that
/// a request is given, and do not wait for the end of what cannot end. A try is two requests here:
/// it comes after the release before it.
async fn a_runtime_that_is_blocked_holds_up_no_other(cx: Context) -> Outcome {
    const AT_ONCE: usize = 4;
    let ttl = 20 * cx.ttl();
    let limit = 2 * (ttl / 6 / 2) + ALLOWANCE;
    let shared: Arc<dyn Backend> = Arc::from(cx.backend().await?);
    let names: Vec<_> = (0..3).map(|_| cx.name()).collect();
    let going_on = cx.builder().ttl(ttl).build(Arc::clone(&shared))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for name in names.iter().cycle().take(AT_ONCE * names.len()) {
        let (lock, is_over) = (going_on.lock(name), Arc::clone(&is_over));
        tasks.spawn(async move {
            let mut slowest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let asked = Moment::now();
                drop(lock.try_acquire().await?);
                slowest = slowest.max(asked.elapsed());
            }
            Ok::<_, Error>(slowest)
        });
    }
    cx.elsewhere(async move |cx| {
        let blocked = cx.builder().ttl(ttl).build(shared)?;
        for name in names.iter().cycle().take(AT_ONCE * names.len()) {
            let lock = blocked.lock(name);
            tokio::spawn(async move {
                while lock.try_acquire().await.is_ok() {
                    tokio::task::yield_now().await;
                }
            });
        }
        sleep(Duration::from_millis(100)).await;
        std::thread::sleep(limit + ALLOWANCE);
        Outcome::Ok(())
    })
    .await?;
    is_over.store(true, Ordering::Relaxed);
    for slowest in soon("an end of the requests", tasks.join_all()).await? {
        let slowest = slowest?;
        assert!(
            slowest < limit,
            "a request took {slowest:?}, held up by another runtime"
        );
    }
    Ok(())
}

/// A thousand holds of one client, acquired together and released together, some by drop. Half of
/// them by a try, which would not wait for another.
async fn a_thousand_names_held_at_once(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let names: Vec<_> = (0..1000).map(|_| cx.name()).collect();
    let mut tasks = JoinSet::new();
    for (number, name) in names.iter().enumerate() {
        let lock = locks.lock(name);
        tasks.spawn(async move {
            match number % 2 {
                0 => lock.acquire().await.map(Some),
                _ => lock.try_acquire().await,
            }
        });
    }
    let mut guards: Vec<Guard> = Vec::new();
    let until = Deadline::within(cx.case_limit() / 2);
    while let Some(ended) = within(until.remaining(), "a thousand locks", tasks.join_next()).await?
    {
        guards.push(ended??.expect("none of a thousand names is taken for another"));
    }
    assert!(
        guards.iter().all(Guard::is_held),
        "a thousand locks held at once"
    );
    let mut releases = JoinSet::new();
    for (number, guard) in guards.into_iter().enumerate() {
        if number % 2 == 0 {
            releases.spawn(guard.release());
        }
    }
    for released in within(cx.case_limit() / 2, "the releases", releases.join_all()).await? {
        released?;
    }
    within(cx.case_limit() / 2, "the drops", locks.settle()).await?;
    for name in names.iter().step_by(37).chain(names.last()) {
        assert!(
            cx.state(name).await?.is_free(),
            "something is left of {name}"
        );
    }
    Ok(())
}

/// Two hundred tasks of two clients, all waiting for one lock; each gets it, one at a time.
async fn two_hundred_waiters_on_one_name(cx: Context) -> Outcome {
    const WAITERS: usize = 200;
    let clients: [Locks; 2] = cx.rivals().await?;
    let name = cx.name();
    let counter = Arc::new(Counter::default());
    let first = clients[0].lock(&name).acquire().await?;
    let mut tasks = JoinSet::new();
    for client in clients.iter().cycle().take(WAITERS) {
        let (acquire, counter) = (client.lock(&name).acquire(), Arc::clone(&counter));
        tasks.spawn(async move {
            let guard = acquire.await?;
            counter.add_one(guard.token()).await;
            guard.release().await
        });
    }
    cx.until(&name, "a line", |state| state.waiters.len() >= 2)
        .await?;
    first.release().await?;
    for ended in within(
        cx.case_limit() / 2,
        "the lock for two hundred",
        tasks.join_all(),
    )
    .await?
    {
        ended?;
    }
    assert_eq!(counter.value(), WAITERS as u64);
    cx.until_free(&name).await?;
    Ok(())
}

/// Holds that were granted together are renewed in time, all of them. The TTL leaves a slow store
/// on a loaded machine some milliseconds for each renewal: there are three hundred to a third of
/// it.
async fn many_holds_are_renewed_together(cx: Context) -> Outcome {
    let ttl = 3 * cx.steady();
    let locks = cx.client().await?;
    let mut guards = Vec::new();
    for _ in 0..300 {
        guards.push(locks.lock(cx.name()).ttl(ttl).acquire().await?);
    }
    for _ in 0..8 {
        sleep(ttl / 4).await;
        let held = guards.iter().filter(|guard| guard.is_held()).count();
        assert_eq!(held, guards.len(), "holds that were renewed in time");
    }
    Ok(())
}

/// A hundred readers of two clients, and a writer after them.
async fn many_readers_of_one_name(cx: Context) -> Outcome {
    let clients: [Locks; 2] = cx.rivals().await?;
    let name = cx.name();
    let mut tasks = JoinSet::new();
    for client in clients.iter().cycle().take(100) {
        tasks.spawn(client.rw_lock(&name).read());
    }
    let readers = within(
        cx.case_limit() / 2,
        "a hundred readers together",
        tasks.join_all(),
    )
    .await?;
    let readers = readers
        .into_iter()
        .collect::<distlock_core::Result<Vec<Guard>>>()?;
    assert!(readers.iter().all(Guard::is_held));
    drop(readers);
    within(
        cx.case_limit() / 2,
        "the name after its readers",
        clients[0].rw_lock(&name).write(),
    )
    .await??
    .release()
    .await?;
    Ok(())
}

/// Fifty permits, a hundred who want one.
async fn many_permits_of_one_name(cx: Context) -> Outcome {
    const LIMIT: u32 = 50;
    let clients: [Locks; 2] = cx.rivals().await?;
    let name = cx.name();
    let counter = Arc::new(Counter::default());
    let mut tasks = JoinSet::new();
    for client in clients.iter().cycle().take(100) {
        let (acquire, counter) = (
            client.semaphore(&name, LIMIT).acquire(),
            Arc::clone(&counter),
        );
        tasks.spawn(async move {
            let permit = acquire.await?;
            counter.share(LIMIT).await;
            permit.release().await
        });
    }
    for ended in within(
        cx.case_limit() / 2,
        "a permit for everybody",
        tasks.join_all(),
    )
    .await?
    {
        ended?;
    }
    cx.until_free(&name).await?;
    Ok(())
}
