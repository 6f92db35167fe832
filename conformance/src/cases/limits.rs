//! P8: a try does not wait for other holders, and a time limit is kept whatever the store does.

use std::time::Duration;

use distlock_core::backend::Attempt;
use distlock_core::{ErrorKind, Locks, Mode, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, refused, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};
use crate::form::Form;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_try_on_a_held_lock_is_none_and_leaves_nothing),
        Case::of(tries_of_every_mode_leave_nothing).needs([Need::Shared, Need::Permits]),
        Case::of(a_waiter_that_only_tries_any_more_lets_in_those_behind_it)
            .needs([Need::Fair, Need::Shared]),
        Case::of(a_try_after_a_drop_succeeds),
        Case::of(one_of_two_tries_on_a_free_lock_succeeds),
        Case::of(a_time_limit_is_kept),
        Case::of(a_time_limit_is_kept_while_the_store_hangs),
        Case::of(a_time_limit_runs_from_the_first_poll),
        Case::of(nothing_stays_in_line_after_a_time_out),
        Case::of(a_grant_at_the_time_limit_is_had_or_given_back),
        Case::of(no_time_at_all_is_a_limit_too),
        Case::of(the_longest_limit_is_no_limit),
        Case::of(a_try_does_not_outlast_a_store_that_is_down),
        Case::of(a_try_does_not_outlast_a_release_that_is_not_confirmed),
    ]
}

/// `None`, without waiting, and the line is as it was: also for a hundred tries.
async fn a_try_on_a_held_lock_is_none_and_leaves_nothing(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let guard = one.lock(&name).acquire().await?;
    for _ in 0..100 {
        let tried = other.lock(&name).try_acquire();
        assert!(
            within(ALLOWANCE, "an answer without waiting", tried)
                .await??
                .is_none()
        );
    }
    // At once: a try that leaves a place behind and takes it back later would be seen.
    let state = cx.state(&name).await?;
    assert_eq!(
        (state.holders.len(), state.waiters.len()),
        (1, 0),
        "after a hundred tries: {state:?}"
    );
    guard.release().await?;
    assert!(cx.state(&name).await?.is_free());
    Ok(())
}

/// Readers, writers and permits that would not wait.
async fn tries_of_every_mode_leave_nothing(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let (name, permits) = (cx.name(), cx.name());
    let _writer = one.rw_lock(&name).write().await?;
    let _permit = one.semaphore(&permits, 1).acquire().await?;
    for _ in 0..10 {
        assert!(other.rw_lock(&name).try_read().await?.is_none());
        assert!(other.rw_lock(&name).try_write().await?.is_none());
        assert!(other.semaphore(&permits, 1).try_acquire().await?.is_none());
    }
    for name in [&name, &permits] {
        let state = cx.state(name).await?;
        assert_eq!(
            (state.holders.len(), state.waiters.len()),
            (1, 0),
            "after tries of every mode: {state:?}"
        );
    }
    Ok(())
}

/// A claim that stood in line, and asks again without waiting, leaves the line; nobody else says a
/// word then, and the reader behind it has the name all the same.
async fn a_waiter_that_only_tries_any_more_lets_in_those_behind_it(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let _reader = one.rw_lock(&name).read().await?;
    let writer = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    writer.wait().await?;
    let reading = tokio::spawn(other.rw_lock(&name).read());
    cx.until_waiting(&name, 2).await?;
    let tried = writer.attempt_once().await?;
    assert!(
        matches!(tried, Attempt::Blocked(_)),
        "a try beside a reader: {tried:?}"
    );
    soon("the lock for a reader behind nobody but readers", reading)
        .await???
        .release()
        .await?;
    Ok(())
}

/// `drop(guard)` and then a try, in one task: the release under way is no other holder.
async fn a_try_after_a_drop_succeeds(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    // So that the try comes before the release.
    let late = Fault::DelayRequest(Duration::from_millis(2));
    faults.add(Verb::Release, Which::All, late);
    let lock = locks.lock(cx.name());
    let mut guard = lock.acquire().await?;
    for round in 0..50 {
        drop(guard);
        guard = lock
            .try_acquire()
            .await?
            .unwrap_or_else(|| panic!("round {round}: a lock this task has just dropped"));
    }
    Ok(())
}

/// Two clients try at the same moment: both failing would mean that each stood in the other's way.
async fn one_of_two_tries_on_a_free_lock_succeeds(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    for round in 0..50 {
        let name = cx.name();
        let tries = [
            tokio::spawn(one.lock(&name).try_acquire()),
            tokio::spawn(two.lock(&name).try_acquire()),
        ];
        let mut guards = Vec::new();
        for tried in tries {
            guards.extend(tried.await??);
        }
        assert_eq!(
            guards.len(),
            1,
            "round {round}: holders out of two tries on a free lock"
        );
    }
    Ok(())
}

/// `TimedOut` at the limit, in every form: not before, and not much after. The error names the
/// lock.
async fn a_time_limit_is_kept(cx: Context) -> Outcome {
    for form in Form::of(cx.capabilities()) {
        keeps_its_time_limit(&cx, form).await?;
    }
    Ok(())
}

async fn keeps_its_time_limit(cx: &Context, form: Form) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let _guard = form.opposite().acquire(&one, &name).await?;
    for limit in [Duration::from_millis(1), Duration::from_millis(120)] {
        let began = Moment::now();
        let asked = form.acquire_within(&other, &name, limit);
        let error = refused(ErrorKind::TimedOut, soon("an answer", asked).await?)?;
        let took = began.elapsed();
        assert!(took >= limit, "timed out after {took:?} of {limit:?}");
        assert!(
            took <= limit + ALLOWANCE,
            "timed out after {took:?}, with a limit of {limit:?}"
        );
        assert_eq!(error.lock_name().map(|name| name.as_str()), Some(&*name));
        cx.until_waiting(&name, 0).await?;
    }
    Ok(())
}

/// The caller is answered at the limit also when the store answers nothing at all; what went wrong
/// is the error's source.
async fn a_time_limit_is_kept_while_the_store_hangs(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    // What a client does but once, before its first request, is nothing that was lost.
    locks.lock(cx.name()).acquire().await?.release().await?;
    // In which the slowest store hears of a request whose reply is lost.
    let limit = cx.ttl();
    for fault in [Fault::Hang, Fault::LoseRequest, Fault::LoseReply] {
        let name = cx.name();
        faults.add(Verb::Attempt, Which::All, fault);
        let began = Moment::now();
        let error = refused(
            ErrorKind::TimedOut,
            locks.lock(&name).acquire_within(limit).await,
        )?;
        let took = began.elapsed();
        assert!(
            (limit..=limit + ALLOWANCE).contains(&took),
            "{fault:?}: answered after {took:?} of {limit:?}"
        );
        if fault != Fault::Hang {
            assert!(
                std::error::Error::source(&error).is_some(),
                "{fault:?}: a time-out that says nothing of the trouble"
            );
        }
        faults.heal();
        cx.until_free(&name).await?;
    }
    Ok(())
}

/// A future is lazy: made early and awaited late, it has its whole time.
async fn a_time_limit_runs_from_the_first_poll(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let limit = 2 * ALLOWANCE;
    let guard = one.lock(&name).acquire().await?;
    let early = other.lock(&name).acquire_within(limit);
    sleep(limit + Duration::from_millis(100)).await;
    let waiting = tokio::spawn(early);
    sleep(ALLOWANCE / 10).await;
    guard.release().await?;
    soon("the lock, within the limit", waiting)
        .await???
        .release()
        .await?;
    Ok(())
}

/// Many who gave up, of several clients: the line shows none of them, and the next gets the lock
/// when it is free.
async fn nothing_stays_in_line_after_a_time_out(cx: Context) -> Outcome {
    let clients: [Locks; 3] = cx.clients().await?;
    let name = cx.name();
    let guard = clients[0].lock(&name).acquire().await?;
    let mut waiting = JoinSet::new();
    for client in clients.iter().cycle().take(9) {
        waiting.spawn(
            client
                .lock(&name)
                .acquire_within(Duration::from_millis(fastrand::u64(20..80))),
        );
    }
    for result in waiting.join_all().await {
        refused(ErrorKind::TimedOut, result)?;
    }
    for client in &clients {
        soon("withdrawals", client.settle()).await?;
    }
    cx.only_holder(&name, guard.token()).await?;
    guard.release().await?;
    assert!(
        clients[1].lock(&name).try_acquire().await?.is_some(),
        "a lock that everybody else has given up on"
    );
    Ok(())
}

/// The lock is released just when the limit of a waiter passes: it has the lock, or the lock is
/// free.
async fn a_grant_at_the_time_limit_is_had_or_given_back(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let limit = Duration::from_millis(30);
    for _ in 0..20 {
        let name = cx.name();
        let guard = one.lock(&name).acquire().await?;
        let waiting = tokio::spawn(other.lock(&name).acquire_within(limit));
        sleep(limit.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        guard.release().await?;
        match waiting.await? {
            Ok(guard) => {
                assert!(guard.is_held());
                cx.only_holder(&name, guard.token()).await?;
                guard.release().await?;
            }
            error => drop(refused(ErrorKind::TimedOut, error)?),
        }
        cx.until_free(&name).await?;
    }
    Ok(())
}

/// A limit of nothing answers at once, in either way, and leaves nothing.
async fn no_time_at_all_is_a_limit_too(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    for _ in 0..10 {
        match soon("an answer", one.lock(&name).acquire_within(Duration::ZERO)).await? {
            Ok(guard) => guard.release().await?,
            error => drop(refused(ErrorKind::TimedOut, error)?),
        }
        cx.until_free(&name).await?;
    }
    let guard = one.lock(&name).acquire().await?;
    refused(
        ErrorKind::TimedOut,
        soon(
            "an answer",
            other.lock(&name).acquire_within(Duration::ZERO),
        )
        .await?,
    )?;
    cx.only_holder(&name, guard.token()).await?;
    Ok(())
}

/// `Duration::MAX` neither overflows nor times out.
async fn the_longest_limit_is_no_limit(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let guard = one.lock(&name).acquire_within(Duration::MAX).await?;
    let waiting = tokio::spawn(other.lock(&name).acquire_within(Duration::MAX));
    cx.until_waiting(&name, 1).await?;
    guard.release().await?;
    soon("the lock", waiting).await???.release().await?;
    Ok(())
}

/// How long a try puts up with a store that does not answer.
fn unanswered_try(ttl: Duration) -> Duration {
    (ttl / 3).max(Duration::from_secs(1))
}

/// Who only tries wants to know soon: with the store down, that is an error within a third of the
/// TTL, and no `None`. The last request may begin at the end of that, and has a sixth of the TTL.
async fn a_try_does_not_outlast_a_store_that_is_down(cx: Context) -> Outcome {
    let ttl = 8 * cx.ttl();
    let limit = unanswered_try(ttl) + ttl / 6 + ALLOWANCE;
    let mut running = JoinSet::new();
    for fault in [Fault::LoseRequest, Fault::LoseReply, Fault::Hang] {
        let cx = cx.clone();
        running.spawn(async move {
            let (locks, faults) = cx.faulty().await?;
            let name = cx.name();
            faults.add(Verb::Attempt, Which::All, fault);
            let tried = locks.lock(&name).ttl(ttl).try_acquire();
            let answer = within(limit, "an answer", tried).await?;
            refused(ErrorKind::Unavailable, answer)?;
            faults.heal();
            cx.until_free(&name).await?;
            Outcome::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// What a try waits for of this process's own releases, it waits for no longer than for the store.
async fn a_try_does_not_outlast_a_release_that_is_not_confirmed(cx: Context) -> Outcome {
    let ttl = 8 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    faults.add(Verb::Release, Which::All, Fault::LoseRequest);
    drop(locks.lock(&name).acquire().await?);
    let tried = locks.lock(&name).ttl(ttl).try_acquire();
    let limit = unanswered_try(ttl) + ALLOWANCE;
    refused(
        ErrorKind::Unavailable,
        within(limit, "an answer", tried).await?,
    )?;
    faults.heal();
    cx.until_free(&name).await?;
    Ok(())
}
