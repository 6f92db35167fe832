//! P9: a future that is dropped, at any point, leaves nothing behind: no hold, no place in line.

use std::time::Duration;

use distlock_core::{Acquire, Lock, Locks};
use tokio::time::{interval, sleep};

use crate::case::{Case, Need};
use crate::context::{Context, soon};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};
use crate::polling::{drop_after_polls, poll_once};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_future_that_was_never_polled_asks_nothing),
        Case::of(dropped_at_any_poll_on_a_free_lock),
        Case::of(dropped_at_any_poll_on_a_held_lock),
        Case::of(dropped_at_any_poll_of_a_slow_store),
        Case::of(dropped_at_any_poll_while_it_is_granted),
        Case::of(a_try_dropped_at_any_poll),
        Case::of(dropped_at_any_poll_in_every_mode).needs([Need::Shared, Need::Permits]),
        Case::of(dropped_while_the_store_hangs),
        Case::of(dropped_as_its_time_limit_passes),
        Case::of(a_select_loop_keeps_the_place).needs([Need::Fair]),
        Case::of(a_neighbour_inherits_the_place).needs([Need::Fair, Need::StandsInLine]),
        Case::of(a_neighbour_inherits_no_more_than_the_place),
        Case::of(a_waiter_that_gives_up_in_the_middle_holds_up_nobody),
        Case::of(an_aborted_task_gives_back_its_lock),
        Case::of(dropping_other_futures_changes_nothing),
    ]
}

/// A future that nobody polled has not asked for anything.
async fn a_future_that_was_never_polled_asks_nothing(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let lock = locks.lock(&name);
    drop((
        lock.acquire(),
        lock.acquire_within(Duration::from_secs(1)),
        lock.try_acquire(),
        lock.run(async |_| ()),
    ));
    locks.settle().await;
    assert_eq!(
        (faults.count(Verb::Attempt), faults.count(Verb::Release)),
        (0, 0),
        "requests for futures never polled"
    );
    assert!(cx.state(&name).await?.is_free());
    Ok(())
}

/// Drops an acquisition after each number of polls until it completes, and looks each time for what
/// is left.
///
/// The TTL is so long that nothing found gone has expired.
async fn sweep(
    cx: &Context,
    locks: &Locks,
    every: Duration,
    ask: impl Fn(&Lock) -> Acquire,
) -> Outcome {
    for polls in 0..2000 {
        let name = cx.name();
        let outcome = drop_after_polls(polls, every, ask(&locks.lock(&name))).await;
        let completed = outcome.transpose()?.is_some();
        soon("withdrawals", locks.settle()).await?;
        cx.until_free(&name).await?;
        if completed {
            return Ok(());
        }
    }
    panic!("a free lock is granted after some number of polls");
}

/// On a free lock the request, the grant and the answer race with the drop.
async fn dropped_at_any_poll_on_a_free_lock(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    for _ in 0..20 {
        sweep(&cx, &locks, Duration::ZERO, Lock::acquire).await?;
        sweep(&cx, &locks, Duration::ZERO, |lock| {
            lock.acquire_within(Duration::from_secs(60))
        })
        .await?;
    }
    Ok(())
}

/// On a held lock it is the place in line that must go, and the holder stays.
async fn dropped_at_any_poll_on_a_held_lock(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let guard = one.lock(&name).acquire().await?;
    for every in [Duration::ZERO, Duration::from_micros(300)] {
        for polls in 0..25 {
            let outcome = drop_after_polls(polls, every, other.lock(&name).acquire()).await;
            assert!(outcome.is_none(), "granted beside a holder");
            soon("withdrawals", other.settle()).await?;
            cx.only_holder(&name, guard.token()).await?;
        }
    }
    guard.release().await?;
    cx.until_free(&name).await?;
    Ok(())
}

/// Each request takes its time on both ways, so that the drops fall before, while and after the
/// store does it.
async fn dropped_at_any_poll_of_a_slow_store(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    for fault in [
        Fault::DelayRequest(Duration::from_millis(6)),
        Fault::DelayReply(Duration::from_millis(6)),
    ] {
        faults.add(Verb::Attempt, Which::All, fault);
        faults.add(Verb::Release, Which::All, fault);
        sweep(&cx, &locks, Duration::from_millis(1), Lock::acquire).await?;
        faults.heal();
    }
    Ok(())
}

/// The holder releases just as the waiter goes: whichever comes first, nobody holds the lock in the
/// end.
async fn dropped_at_any_poll_while_it_is_granted(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    for polls in 1..30 {
        let name = cx.name();
        let guard = one.lock(&name).acquire().await?;
        let mut waiting = other.lock(&name).acquire();
        assert!(poll_once(&mut waiting).await.is_pending());
        cx.until_waiting(&name, 1).await?;
        drop(guard);
        let outcome = drop_after_polls(polls, Duration::ZERO, waiting).await;
        drop(outcome.transpose()?);
        for locks in [&one, &other] {
            soon("withdrawals", locks.settle()).await?;
        }
        cx.until_free(&name).await?;
    }
    Ok(())
}

/// A try that is dropped leaves as little, on a free lock and on a held one.
async fn a_try_dropped_at_any_poll(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let held = cx.name();
    let guard = locks.lock(&held).acquire().await?;
    for delay in [Duration::ZERO, Duration::from_millis(3)] {
        faults.add(Verb::Attempt, Which::All, Fault::DelayReply(delay));
        for polls in 0..12 {
            let free = cx.name();
            let every = delay / 3;
            drop(
                drop_after_polls(polls, every, locks.lock(&free).try_acquire())
                    .await
                    .transpose()?,
            );
            drop(
                drop_after_polls(polls, every, locks.lock(&held).try_acquire())
                    .await
                    .transpose()?,
            );
            soon("withdrawals", locks.settle()).await?;
            cx.until_free(&free).await?;
            cx.only_holder(&held, guard.token()).await?;
        }
        faults.heal();
    }
    Ok(())
}

/// Readers, writers and permits, waiting and granted.
async fn dropped_at_any_poll_in_every_mode(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let (read, written, permits) = (cx.name(), cx.name(), cx.name());
    let holders = [
        (&read, one.rw_lock(&read).read().await?),
        (&written, one.rw_lock(&written).write().await?),
        (&permits, one.semaphore(&permits, 1).acquire().await?),
    ];
    for polls in 0..10 {
        for asked in [
            other.rw_lock(&read).read(),
            other.rw_lock(&read).write(),
            other.rw_lock(&written).read(),
            other.rw_lock(&written).write(),
            other.semaphore(&permits, 1).acquire(),
        ] {
            drop(
                drop_after_polls(polls, Duration::ZERO, asked)
                    .await
                    .transpose()?,
            );
        }
        soon("withdrawals", other.settle()).await?;
        for (name, guard) in &holders {
            cx.only_holder(name, guard.token()).await?;
        }
    }
    Ok(())
}

/// The store does not answer, so it cannot be told either. Once it answers again, what it had done
/// is taken back.
async fn dropped_while_the_store_hangs(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    for fault in [
        Fault::LoseReply,
        Fault::Hang,
        Fault::Stall(Duration::from_millis(50)),
    ] {
        let name = cx.name();
        faults.add(Verb::Attempt, Which::All, fault);
        faults.add(Verb::Release, Which::First(2), Fault::LoseRequest);
        let mut asked = locks.lock(&name).acquire();
        assert!(poll_once(&mut asked).await.is_pending());
        soon(
            "a request",
            faults.seen(Verb::Attempt, faults.count(Verb::Attempt).max(1)),
        )
        .await?;
        sleep(Duration::from_millis(5)).await;
        drop(asked);
        soon("withdrawal", locks.settle()).await?;
        assert!(
            cx.state(&name).await?.is_free(),
            "{fault:?}: something is left after `settle`"
        );
        faults.heal();
    }
    Ok(())
}

/// Nobody is left to be told that the time is over, and what was begun is still to be settled.
async fn dropped_as_its_time_limit_passes(cx: Context) -> Outcome {
    const LIMIT: Duration = Duration::from_millis(4);
    let rounds = async |cx: Context| {
        let (locks, faults) = cx.faulty().await?;
        for _ in 0..24 {
            let name = cx.name();
            faults.add(Verb::Attempt, Which::All, Fault::DelayReply(4 * LIMIT));
            let asked = faults.count(Verb::Attempt);
            let mut acquire = locks.lock(&name).acquire_within(LIMIT);
            assert!(poll_once(&mut acquire).await.is_pending());
            soon("an attempt", faults.seen(Verb::Attempt, asked + 1)).await?;
            // By the same turn of the same timer: whoever drives the lock finds its caller gone and
            // the time over.
            sleep(LIMIT).await;
            drop(acquire);
            soon("the withdrawal", locks.settle()).await?;
            let state = cx.state(&name).await?;
            assert!(
                state.is_free(),
                "something is left after `settle`: {state:?}"
            );
            faults.heal();
        }
        Ok(())
    };
    cx.elsewhere(rounds).await
}

/// `select!` in a loop over `&mut acquire`: between the ticks the place in line stays.
async fn a_select_loop_keeps_the_place(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let mut first = two.lock(&name).acquire();
    let mut tick = interval(Duration::from_millis(5));
    for _ in 0..10 {
        tokio::select! {
            _ = &mut first => panic!("granted beside a holder"),
            _ = tick.tick() => {}
        }
    }
    cx.until_waiting(&name, 1).await?;
    let second = tokio::spawn(three.lock(&name).acquire());
    cx.until_waiting(&name, 2).await?;
    for _ in 0..10 {
        tokio::select! {
            _ = &mut first => panic!("granted beside a holder"),
            _ = tick.tick() => {}
        }
    }
    holder.release().await?;
    let guard = soon("the lock for the first in line", first).await??;
    assert!(
        !second.is_finished(),
        "the second in line was granted beside the first"
    );
    guard.release().await?;
    soon("the lock for the second in line", second)
        .await???
        .release()
        .await?;
    Ok(())
}

/// Of two who wait in one client, the one in the store's line gives up: the other has its place,
/// before those of other clients that came in between.
async fn a_neighbour_inherits_the_place(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let mut gives_up = two.lock(&name).acquire();
    assert!(poll_once(&mut gives_up).await.is_pending());
    cx.until_waiting(&name, 1).await?;
    let mut neighbour = two.lock(&name).acquire();
    assert!(poll_once(&mut neighbour).await.is_pending());
    sleep(Duration::from_millis(20)).await;
    let other = tokio::spawn(three.lock(&name).acquire());
    cx.until_waiting(&name, 2).await?;
    drop(gives_up);
    sleep(Duration::from_millis(20)).await;
    cx.until_waiting(&name, 2).await?;
    holder.release().await?;
    let guard = soon("the lock for the neighbour", neighbour).await??;
    assert!(
        !other.is_finished(),
        "another client was granted beside the neighbour"
    );
    guard.release().await?;
    soon("the lock for the other client", other)
        .await???
        .release()
        .await?;
    Ok(())
}

/// What the one that gave up had asked for besides is not what its neighbour gets.
async fn a_neighbour_inherits_no_more_than_the_place(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    let limit = cx.ttl() / 3;
    let holder = one.lock(&name).acquire().await?;
    let mut gives_up = two.lock(&name).max_hold(limit).acquire();
    assert!(poll_once(&mut gives_up).await.is_pending());
    cx.until_waiting(&name, 1).await?;
    let mut neighbour = two.lock(&name).acquire();
    assert!(poll_once(&mut neighbour).await.is_pending());
    sleep(Duration::from_millis(20)).await;
    drop(gives_up);
    holder.release().await?;
    let guard = soon("the lock for the neighbour", neighbour).await??;
    sleep(2 * limit).await;
    assert!(
        guard.is_held(),
        "a hold without a limit ended by the limit of another"
    );
    guard.release().await?;
    Ok(())
}

/// The middle one of five goes; those behind move up (E4).
async fn a_waiter_that_gives_up_in_the_middle_holds_up_nobody(cx: Context) -> Outcome {
    let clients: [Locks; 5] = cx.clients().await?;
    let holder = cx.client().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let mut waiting = Vec::new();
    for (ahead, client) in clients.iter().enumerate() {
        waiting.push(tokio::spawn(client.lock(&name).acquire()));
        cx.until_waiting(&name, ahead + 1).await?;
    }
    waiting.remove(2).abort();
    cx.until_waiting(&name, 4).await?;
    guard.release().await?;
    for granted in waiting {
        soon("the lock past one who gave up", granted)
            .await???
            .release()
            .await?;
    }
    cx.until_free(&name).await?;
    Ok(())
}

/// Aborting a task drops its guard, or its acquisition, wherever it was.
async fn an_aborted_task_gives_back_its_lock(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    for round in 0..20 {
        let lock = locks.lock(&name);
        let task = tokio::spawn(async move {
            let _guard = lock.acquire().await?;
            std::future::pending::<()>().await;
            Outcome::Ok(())
        });
        sleep(Duration::from_micros(100 * round)).await;
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
        soon("its withdrawal", locks.settle()).await?;
        cx.until_free(&name).await?;
    }
    Ok(())
}

/// The futures of a guard and the readings of a store can be dropped at any poll; the hold stays as
/// it was.
async fn dropping_other_futures_changes_nothing(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let guard = locks.lock(&name).acquire().await?;
    let mut watch = locks.watch(&name);
    for polls in 0..6 {
        let _ = drop_after_polls(polls, Duration::ZERO, guard.lost()).await;
        drop(drop_after_polls(polls, Duration::ZERO, Box::pin(guard.ensure(cx.calm() / 2))).await);
        drop(
            drop_after_polls(
                polls,
                Duration::ZERO,
                Box::pin(guard.while_held(std::future::pending::<()>())),
            )
            .await,
        );
        drop(drop_after_polls(polls, Duration::ZERO, Box::pin(locks.inspect(&name))).await);
        drop(drop_after_polls(polls, Duration::ZERO, Box::pin(watch.next())).await);
        let _ = drop_after_polls(polls, Duration::ZERO, Box::pin(locks.settle())).await;
    }
    assert!(guard.is_held());
    cx.only_holder(&name, guard.token()).await?;
    let release = guard.release();
    // A release has begun with the call; its future only listens.
    drop(release);
    soon("the release", locks.settle()).await?;
    assert!(
        cx.state(&name).await?.is_free(),
        "a release whose future was dropped"
    );
    Ok(())
}
