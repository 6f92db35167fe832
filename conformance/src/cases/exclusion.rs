//! P1: at any instant a name has one exclusive holder, or any number of shared ones, or `limit`
//! permits.

mod race;

use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::Backend;
use distlock_core::{Acquire, ErrorKind, Guard, Locks, Mode, TryAcquire};
use tokio::task::JoinSet;

use crate::case::{Case, Need};
use crate::context::{Context, refused, soon};
use crate::counter::Counter;
use crate::failure::Outcome;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::of(one_client_keeps_out_another),
        Case::of(a_client_keeps_out_itself),
        Case::of(readers_hold_together).needs([Need::Shared]),
        Case::of(a_writer_keeps_out_readers_and_writers).needs([Need::Shared]),
        Case::of(the_last_reader_lets_the_writer_in).needs([Need::Shared]),
        Case::of(as_many_permits_as_the_limit_and_no_more).needs([Need::Permits]),
        Case::of(a_semaphore_of_one_is_a_mutex).needs([Need::Permits]),
        Case::of(a_semaphore_on_a_lock_is_a_conflict).needs([Need::Permits]),
        Case::of(a_lock_on_a_semaphore_is_a_conflict).needs([Need::Permits]),
        Case::of(two_limits_are_a_conflict).needs([Need::Permits]),
        Case::of(a_conflict_is_that_of_one_claim).needs([Need::Permits]),
        Case::of(a_free_name_takes_any_mode).needs([Need::Shared, Need::Permits]),
        Case::of(the_dead_conflict_with_nobody).needs([Need::Permits]),
        Case::of(no_update_is_lost_under_contention),
        Case::of(readers_and_writers_never_meet).needs([Need::Shared]),
        Case::of(permits_never_exceed_the_limit).needs([Need::Permits]),
    ];
    cases.extend(race::cases());
    cases
}

/// A lock held by one client is not to be had by another, until it is released.
async fn one_client_keeps_out_another(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let guard = one.lock(&name).acquire().await?;
    assert!(
        other.lock(&name).try_acquire().await?.is_none(),
        "a second exclusive holder"
    );
    cx.only_holder(&name, guard.token()).await?;
    guard.release().await?;
    let guard = soon("the released lock", other.lock(&name).acquire()).await??;
    assert!(
        one.lock(&name).try_acquire().await?.is_none(),
        "a second exclusive holder, the other way round"
    );
    guard.release().await?;
    Ok(())
}

/// Nothing is re-entrant: to its own client, a held lock is as taken as to any other.
async fn a_client_keeps_out_itself(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let lock = locks.lock(cx.name());
    let guard = lock.acquire().await?;
    assert!(
        lock.try_acquire().await?.is_none(),
        "the same lock twice in one client"
    );
    refused(
        ErrorKind::TimedOut,
        lock.acquire_within(Duration::from_millis(50)).await,
    )?;
    assert!(
        lock.clone().try_acquire().await?.is_none(),
        "the same lock by a clone"
    );
    assert!(guard.is_held());
    guard.release().await?;
    Ok(())
}

/// Readers hold a name together, of one client and of several.
async fn readers_hold_together(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let mut readers = Vec::new();
    for locks in [&one, &other, &one, &other] {
        readers.push(soon("another reader", locks.rw_lock(&name).read()).await??);
    }
    let third = one.rw_lock(&name).try_read().await?;
    assert!(
        third.is_some(),
        "a reader that would not wait was kept out by readers"
    );
    assert!(readers.iter().all(|reader| reader.is_held()));
    Ok(())
}

/// A writer holds a name alone.
async fn a_writer_keeps_out_readers_and_writers(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let writer = one.rw_lock(&name).write().await?;
    for locks in [&one, &other] {
        assert!(
            locks.rw_lock(&name).try_read().await?.is_none(),
            "a reader beside a writer"
        );
        assert!(
            locks.rw_lock(&name).try_write().await?.is_none(),
            "a writer beside a writer"
        );
        assert!(
            locks.lock(&name).try_acquire().await?.is_none(),
            "an exclusive holder beside a writer"
        );
    }
    writer.release().await?;
    Ok(())
}

/// A writer waits for every reader, not only for the first.
async fn the_last_reader_lets_the_writer_in(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    let name = cx.name();
    let readers = [
        one.rw_lock(&name).read().await?,
        two.rw_lock(&name).read().await?,
    ];
    for reader in readers {
        assert!(
            three.rw_lock(&name).try_write().await?.is_none(),
            "a writer beside a reader"
        );
        reader.release().await?;
    }
    soon(
        "the name after its last reader",
        three.rw_lock(&name).write(),
    )
    .await??
    .release()
    .await?;
    Ok(())
}

/// There are as many permits as the limit says, over all clients, and one more for each that is
/// given back.
async fn as_many_permits_as_the_limit_and_no_more(cx: Context) -> Outcome {
    const LIMIT: u32 = 3;
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let semaphores = [one.semaphore(&name, LIMIT), other.semaphore(&name, LIMIT)];
    let mut permits = Vec::new();
    for taken in 0..LIMIT as usize {
        permits.push(soon("a free permit", semaphores[taken % 2].acquire()).await??);
    }
    for _ in 0..2 {
        for semaphore in &semaphores {
            assert!(
                semaphore.try_acquire().await?.is_none(),
                "more than {LIMIT} permits"
            );
        }
        permits.remove(0).release().await?;
        let permit = semaphores[0].try_acquire().await?;
        permits.push(permit.expect("a permit that was given back can be taken"));
    }
    Ok(())
}

/// A limit of one is exclusion.
async fn a_semaphore_of_one_is_a_mutex(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let permit = one.semaphore(&name, 1).acquire().await?;
    assert!(
        other.semaphore(&name, 1).try_acquire().await?.is_none(),
        "a second of one permit"
    );
    permit.release().await?;
    assert!(other.semaphore(&name, 1).try_acquire().await?.is_some());
    Ok(())
}

/// Permits on a name that is in use as a lock are refused, with both modes named; also to one that
/// waits.
async fn a_semaphore_on_a_lock_is_a_conflict(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let guard = one.lock(&name).acquire().await?;
    let permits = other.semaphore(&name, 2);
    conflict(&cx, &name, &guard, permits.try_acquire(), permits.acquire()).await
}

/// A lock on a name that is in use as a semaphore is refused, with both modes named.
async fn a_lock_on_a_semaphore_is_a_conflict(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let permit = one.semaphore(&name, 2).acquire().await?;
    let lock = other.lock(&name);
    conflict(&cx, &name, &permit, lock.try_acquire(), lock.acquire()).await
}

/// What asks for a name that is held in another way is refused, whether it tries or waits; the
/// holder stays.
async fn conflict(
    cx: &Context,
    name: &str,
    holder: &Guard,
    trying: TryAcquire,
    waiting: Acquire,
) -> Outcome {
    for result in [
        soon("an answer", trying).await?,
        soon("an answer", waiting).await?.map(Some),
    ] {
        let error = refused(ErrorKind::Conflict, result)?.to_string();
        assert!(
            error.contains("permit") && error.contains("exclusive"),
            "an error that names both modes: {error}"
        );
    }
    assert!(holder.is_held(), "the conflict is that of the newcomer");
    cx.only_holder(name, holder.token()).await?;
    Ok(())
}

/// Two limits for one name are refused, with both named: no silent second semaphore.
async fn two_limits_are_a_conflict(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let permit = one.semaphore(&name, 2).acquire().await?;
    let error = refused(
        ErrorKind::Conflict,
        soon("an answer", other.semaphore(&name, 7).acquire()).await?,
    )?
    .to_string();
    assert!(
        error.contains('2') && error.contains('7'),
        "an error that names both limits: {error}"
    );
    cx.only_holder(&name, permit.token()).await?;
    Ok(())
}

/// Of claims that one client makes at the same time, those of another limit are refused, and no
/// others.
async fn a_conflict_is_that_of_one_claim(cx: Context) -> Outcome {
    const LIMIT: u32 = 32;
    let backend: Arc<dyn Backend> = Arc::from(cx.backend().await?);
    let name = cx.name();
    let first = cx.client().await?;
    let _permit = first.semaphore(&name, LIMIT).acquire().await?;
    let mut tries = JoinSet::new();
    for number in 0..LIMIT - 1 {
        // In turns, and of several `Locks`, so that no line of waiters keeps them apart.
        let limit = LIMIT + number % 2;
        let (name, locks) = (name.clone(), cx.builder().build(Arc::clone(&backend))?);
        tries.spawn(async move { (limit, locks.semaphore(name, limit).try_acquire().await) });
    }
    for (limit, tried) in soon("answers to all tries", tries.join_all()).await? {
        if limit == LIMIT {
            assert!(tried?.is_some(), "a permit that is free");
        } else {
            refused(ErrorKind::Conflict, tried)?;
        }
    }
    Ok(())
}

/// A conflict ends with its cause: once a name is free, it takes any mode, one after the other.
async fn a_free_name_takes_any_mode(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    for _ in 0..2 {
        locks.semaphore(&name, 2).acquire().await?.release().await?;
        locks.semaphore(&name, 3).acquire().await?.release().await?;
        locks.rw_lock(&name).read().await?.release().await?;
        locks.lock(&name).acquire().await?.release().await?;
    }
    Ok(())
}

/// What has expired is in nobody's way, whatever its mode.
async fn the_dead_conflict_with_nobody(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Permit { limit: 2 }, cx.ttl()).await?;
    dead.hold().await?;
    let limit = cx.gone_by(cx.ttl());
    cx.until_within(limit, &name, "an expired permit to be gone", |state| {
        state.is_free()
    })
    .await?;
    assert!(locks.lock(&name).try_acquire().await?.is_some());
    Ok(())
}

/// Several tasks of several clients, all adding to one counter that only the lock protects.
async fn no_update_is_lost_under_contention(cx: Context) -> Outcome {
    const TASKS: u64 = 3;
    const ROUNDS: u64 = 12;
    let clients: [Locks; 4] = cx.rivals().await?;
    let name = cx.name();
    let counter = Arc::new(Counter::default());
    let mut tasks = JoinSet::new();
    for locks in clients
        .iter()
        .flat_map(|client| std::iter::repeat_n(client, TASKS as usize))
    {
        let (lock, counter) = (locks.lock(&name), Arc::clone(&counter));
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let guard = lock.acquire().await?;
                counter.add_one(guard.token()).await;
                // By turns, both ways to end a hold.
                if fastrand::bool() {
                    guard.release().await?;
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no overlap")?;
    }
    assert_eq!(
        counter.value(),
        clients.len() as u64 * TASKS * ROUNDS,
        "updates that were not lost"
    );
    cx.until_free(&name).await?;
    Ok(())
}

/// Readers and writers at random: no writer beside anybody, and no update lost.
async fn readers_and_writers_never_meet(cx: Context) -> Outcome {
    const ROUNDS: u64 = 12;
    let clients: [Locks; 4] = cx.rivals().await?;
    let name = cx.name();
    let counter = Arc::new(Counter::default());
    let mut tasks = JoinSet::new();
    for (number, locks) in clients.iter().cycle().take(8).enumerate() {
        let (lock, counter) = (locks.rw_lock(&name), Arc::clone(&counter));
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                if number % 4 == 0 {
                    let writer = lock.write().await?;
                    counter.add_one(writer.token()).await;
                    writer.release().await?;
                } else {
                    let reader = lock.read().await?;
                    counter.share(u32::MAX).await;
                    reader.release().await?;
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no overlap")?;
    }
    assert_eq!(counter.value(), 2 * ROUNDS, "updates that were not lost");
    Ok(())
}

/// Many tasks over few permits: never more at once than the limit.
async fn permits_never_exceed_the_limit(cx: Context) -> Outcome {
    const LIMIT: u32 = 3;
    let clients: [Locks; 3] = cx.rivals().await?;
    let name = cx.name();
    let counter = Arc::new(Counter::default());
    let mut tasks = JoinSet::new();
    for locks in clients.iter().cycle().take(9) {
        let (semaphore, counter) = (locks.semaphore(&name, LIMIT), Arc::clone(&counter));
        tasks.spawn(async move {
            for _ in 0..12 {
                let permit = semaphore.acquire().await?;
                counter.share(LIMIT).await;
                permit.release().await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no more than the limit")?;
    }
    Ok(())
}
