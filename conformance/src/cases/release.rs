//! P10: a release frees its own claim and no other, is asked for until it is done, and works from
//! anywhere.

mod run;
mod settle;

use std::time::Duration;

use distlock_core::backend::Released;
use distlock_core::{ErrorKind, Expiry, Mode, Moment};
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, refused, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};
use crate::form::Form;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::of(a_second_release_finds_nothing),
        Case::of(a_release_of_what_never_asked_finds_nothing),
        Case::of(a_waiter_s_release_gives_up_its_place),
        Case::of(a_waiter_s_release_gives_up_what_it_was_granted),
        Case::of(a_release_after_expiry_finds_nothing),
        Case::of(a_late_release_leaves_the_successor_alone),
        Case::of(a_reader_s_release_leaves_the_others).needs([Need::Shared]),
        Case::of(asked_for_until_it_is_done),
        Case::of(asked_for_as_well_if_the_claim_is_older_than_its_ttl).long(),
        Case::of(not_held_up_by_a_renewal_that_hangs),
        Case::of(unconfirmed_for_too_long_is_an_error_and_goes_on),
        Case::of(never_confirmed_it_ends_with_the_claim).needs([Need::ClaimsExpire]),
        Case::of(a_dropped_guard_releases),
        Case::of(dropped_without_waiting_for_the_store),
        Case::of(dropped_on_a_thread_without_a_runtime),
        Case::of(dropped_while_unwinding),
        Case::of(dropped_after_its_runtime_has_gone),
        Case::of(asked_for_after_its_runtime_has_gone),
        Case::of(a_release_that_comes_after_the_loss_says_so),
    ];
    cases.extend(settle::cases());
    cases.extend(run::cases());
    cases
}

/// Releasing twice does no harm; the second finds nothing to release.
async fn a_second_release_finds_nothing(cx: Context) -> Outcome {
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    claim.hold().await?;
    assert_eq!(claim.release().await?, Released::Held);
    for _ in 0..3 {
        assert_eq!(claim.release().await?, Released::NotHeld);
    }
    assert!(cx.state(&name).await?.is_free());
    // Nor when somebody else has the name by then.
    let successor = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    let hold = successor.hold().await?;
    assert_eq!(claim.release().await?, Released::NotHeld);
    cx.only_holder(&name, crate::bare::token(hold)?).await?;
    Ok(())
}

/// A claim can be released before it has asked for anything.
async fn a_release_of_what_never_asked_finds_nothing(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let guard = locks.lock(&name).acquire().await?;
    let claim = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    assert_eq!(claim.release().await?, Released::NotHeld);
    cx.only_holder(&name, guard.token()).await?;
    Ok(())
}

/// A place in line is released like a hold, and the holder stays.
async fn a_waiter_s_release_gives_up_its_place(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let guard = locks.lock(&name).acquire().await?;
    let claim = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    claim.wait().await?;
    cx.until_waiting(&name, 1).await?;
    assert_eq!(claim.release().await?, Released::NotHeld);
    cx.only_holder(&name, guard.token()).await?;
    guard.release().await?;
    assert!(
        cx.state(&name).await?.is_free(),
        "a place that was given up was granted"
    );
    Ok(())
}

/// A waiter may have been granted the lock since it last asked; whoever goes then has not heard of
/// it, and the lock is free all the same, however it is locked.
async fn a_waiter_s_release_gives_up_what_it_was_granted(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    for form in Form::of(cx.capabilities()) {
        let name = cx.name();
        let guard = form.opposite().acquire(&locks, &name).await?;
        let claim = cx.bare(&name, form.mode(), cx.calm()).await?;
        claim.wait().await?;
        cx.until_waiting(&name, 1).await?;
        guard.release().await?;
        claim.release().await?;
        let state = cx.state(&name).await?;
        assert!(
            state.is_free(),
            "something is left of a waiter, {form:?}, that was granted the lock and gave up: \
             {state:?}"
        );
    }
    Ok(())
}

/// What has expired is not released any more, though nobody has asked for the name since.
async fn a_release_after_expiry_finds_nothing(cx: Context) -> Outcome {
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    claim.hold().await?;
    let limit = cx.gone_by(cx.ttl());
    cx.until_within(limit, &name, "an expired hold to be gone", |state| {
        state.is_free()
    })
    .await?;
    assert_eq!(
        claim.release().await?,
        Released::NotHeld,
        "of a hold that has expired"
    );
    Ok(())
}

/// A release that comes when the claim has long expired, and somebody else holds the name, frees
/// nobody.
async fn a_late_release_leaves_the_successor_alone(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let late = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    late.hold().await?;
    let guard = within(
        cx.gone_by(cx.ttl()),
        "the lock of a dead holder",
        locks.lock(&name).acquire(),
    )
    .await??;
    for _ in 0..3 {
        assert_eq!(late.release().await?, Released::NotHeld);
        let state = cx.state(&name).await?;
        assert_eq!(
            state.holders.len(),
            1,
            "a late release freed its successor: {state:?}"
        );
    }
    cx.only_holder(&name, guard.token()).await?;
    guard.release().await?;
    Ok(())
}

/// One of several readers goes; the others stay, of other clients and of its own.
async fn a_reader_s_release_leaves_the_others(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let mut readers = Vec::new();
    for client in [&one, &one, &other] {
        readers.push(client.rw_lock(&name).read().await?);
    }
    while let Some(reader) = readers.pop() {
        reader.release().await?;
        let writer = other.rw_lock(&name).try_write().await?;
        assert_eq!(
            writer.is_some(),
            readers.is_empty(),
            "a writer, with {} readers left",
            readers.len()
        );
        assert!(readers.iter().all(|reader| reader.is_held()));
    }
    Ok(())
}

/// The first requests are lost; the release goes on asking, and is done when the store confirms it.
async fn asked_for_until_it_is_done(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    for fault in [
        Fault::LoseRequest,
        Fault::Fail(ErrorKind::Unexpected),
        Fault::Panic,
    ] {
        let asked = faults.count(Verb::Release);
        let guard = locks.lock(&name).acquire().await?;
        faults.add(Verb::Release, Which::First(3), fault);
        soon("the release", guard.release()).await??;
        assert_eq!(
            faults.count(Verb::Release) - asked,
            4,
            "{fault:?}: requests, of which three failed"
        );
        assert!(
            cx.state(&name).await?.is_free(),
            "{fault:?}: released, and still there"
        );
    }
    Ok(())
}

/// How long a claim may still be alive counts from when the store last heard of it: a hold that was
/// renewed for longer than its TTL is asked for as often as a new one, and so is a place in line.
async fn asked_for_as_well_if_the_claim_is_older_than_its_ttl(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let holder = cx.client().await?;
    let (locks, faults) = cx.faulty().await?;
    let (held, waited_for) = (cx.name(), cx.name());
    let _in_the_way = holder.lock(&waited_for).acquire().await?;
    let guard = locks.lock(&held).ttl(ttl).acquire().await?;
    let waiting = tokio::spawn(locks.lock(&waited_for).ttl(ttl).acquire());
    sleep(2 * ttl).await;
    faults.add(Verb::Release, Which::First(6), Fault::LoseRequest);
    waiting.abort();
    soon("the release", guard.release()).await??;
    soon("the withdrawal", locks.settle()).await?;
    for (name, holders) in [(&held, 0), (&waited_for, 1)] {
        let state = cx.state(name).await?;
        assert_eq!(
            (state.holders.len(), state.waiters.len()),
            (holders, 0),
            "given back, and still there: {state:?}"
        );
    }
    Ok(())
}

/// A store that never confirms a release is not asked for ever: the claim ends there by its TTL.
/// Whoever waits is told that nothing is known, and `settle` waits no longer.
async fn never_confirmed_it_ends_with_the_claim(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Release, Which::All, Fault::LoseRequest);
    let ttl = cx.ttl();
    let (awaited, dropped) = (cx.name(), cx.name());
    let guard = locks.lock(&awaited).ttl(ttl).acquire().await?;
    drop(locks.lock(&dropped).ttl(ttl).acquire().await?);
    let limit = cx.gone_by(ttl);
    let result = within(limit, "an answer for a release", guard.release()).await?;
    refused(ErrorKind::Unavailable, result)?;
    within(limit, "the end of what was dropped", locks.settle()).await?;
    for name in [&awaited, &dropped] {
        cx.until_within(limit, name, "an expired hold to be gone", |state| {
            state.is_free()
        })
        .await?;
    }
    let asked = faults.count(Verb::Release);
    sleep(ttl).await;
    assert_eq!(
        faults.count(Verb::Release),
        asked,
        "requests for claims that have ended"
    );
    Ok(())
}

/// The renewal that is under way gets no answer; the release waits for its deadline and not for its
/// TTL.
async fn not_held_up_by_a_renewal_that_hangs(cx: Context) -> Outcome {
    let ttl = 10 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    faults.add(Verb::Renew, Which::All, Fault::Hang);
    let guard = locks.lock(&name).ttl(ttl).acquire().await?;
    within(ttl, "a renewal", faults.seen(Verb::Renew, 1)).await?;
    within(ttl / 6 + ALLOWANCE, "the release", guard.release()).await??;
    assert!(cx.state(&name).await?.is_free());
    Ok(())
}

/// A store that does not confirm for a TTL: the caller is told, and the release does not stop for
/// that. It does when the claim can no longer be alive; a session may live for ever, so under one
/// it goes on until the store confirms.
async fn unconfirmed_for_too_long_is_an_error_and_goes_on(cx: Context) -> Outcome {
    let ttl = 2 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    faults.add(Verb::Release, Which::All, Fault::LoseRequest);
    let guard = locks.lock(&name).ttl(ttl).acquire().await?;
    let result = within(2 * ttl + ALLOWANCE, "an answer", guard.release()).await?;
    refused(ErrorKind::Unavailable, result)?;
    if cx.capabilities().expiry == Expiry::PerSession {
        let asked = faults.count(Verb::Release);
        let goes_on = faults.seen(Verb::Release, asked + 1);
        soon("another request after the answer", goes_on).await?;
        faults.heal();
    }
    within(
        cx.gone_by(ttl),
        "an end to the release, by the TTL if not by the store",
        locks.settle(),
    )
    .await?;
    cx.until_within(
        cx.gone_by(ttl),
        &name,
        "that nobody holds the name",
        |state| state.is_free(),
    )
    .await?;
    Ok(())
}

/// Dropping is releasing; nobody has to wait for the TTL.
async fn a_dropped_guard_releases(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    for _ in 0..10 {
        let guard = one.lock(&name).acquire().await?;
        drop(guard);
        soon(
            "a lock whose guard was dropped",
            other.lock(&name).acquire(),
        )
        .await??
        .release()
        .await?;
    }
    Ok(())
}

/// Dropping never blocks, however long the store takes.
async fn dropped_without_waiting_for_the_store(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = locks.lock(&name).acquire().await?;
    faults.add(Verb::Release, Which::Nth(1), Fault::Hang);
    let began = Moment::now();
    drop(guard);
    let took = began.elapsed();
    assert!(took < ALLOWANCE, "a drop took {took:?}");
    soon("the release", locks.settle()).await?;
    assert!(cx.state(&name).await?.is_free());
    Ok(())
}

/// A guard can go to a plain thread, and end there.
async fn dropped_on_a_thread_without_a_runtime(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let guard = locks.lock(&name).acquire().await?;
    let noted = cx.clone();
    let thread = std::thread::spawn(move || {
        noted.note_panics_of_this_thread();
        assert!(guard.is_held());
        drop(guard);
    });
    assert!(
        tokio::task::spawn_blocking(move || thread.join())
            .await?
            .is_ok(),
        "dropping a guard panicked"
    );
    cx.until_free(&name).await?;
    Ok(())
}

/// A panic in the critical section releases the lock.
async fn dropped_while_unwinding(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let lock = locks.lock(&name);
    let task = tokio::spawn(async move {
        let _guard = lock.acquire().await.expect("a free lock can be had");
        panic!("on purpose, in the critical section");
    });
    assert!(task.await.is_err_and(|error| error.is_panic()));
    cx.until_free(&name).await?;
    Ok(())
}

/// The runtime that drove the lock shuts down first. The guard is not held any more, and nothing
/// panics when it is asked and dropped.
async fn dropped_after_its_runtime_has_gone(cx: Context) -> Outcome {
    let name = cx.name();
    let of_name = name.clone();
    let guard = cx.elsewhere(|cx| async move {
        let locks = cx.client().await?;
        locks.lock(of_name).ttl(cx.ttl()).acquire().await
    });
    let guard = guard.await?;
    assert!(!guard.is_held(), "held, though nobody renews it");
    assert_eq!(guard.valid_for(), Duration::ZERO);
    soon("the loss", guard.lost()).await?;
    refused(
        ErrorKind::Lost,
        guard.ensure(Duration::from_millis(1)).await,
    )?;
    drop(guard);
    cx.until_within(
        cx.gone_by(cx.ttl()),
        &name,
        "that nobody holds the name",
        |state| state.is_free(),
    )
    .await?;
    Ok(())
}

/// Locks whose runtime has gone say so; they neither hang nor panic.
async fn asked_for_after_its_runtime_has_gone(cx: Context) -> Outcome {
    let locks = cx.elsewhere(|cx| async move { cx.client().await }).await?;
    let lock = locks.lock(cx.name());
    refused(
        ErrorKind::Unavailable,
        soon("an answer", lock.acquire()).await?,
    )?;
    refused(
        ErrorKind::Unavailable,
        soon("an answer", lock.try_acquire()).await?,
    )?;
    refused(
        ErrorKind::Unavailable,
        soon("an answer", locks.inspect(cx.name())).await?,
    )?;
    soon("nothing to settle", locks.settle()).await?;
    Ok(())
}

/// `release` is an error when there was nothing left to release: whoever relied on the lock should
/// know.
async fn a_release_that_comes_after_the_loss_says_so(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    // The store has forgotten the hold, and nobody knows yet.
    let guard = locks.lock(&name).acquire().await?;
    faults.add(Verb::Release, Which::Nth(1), Fault::Forget);
    assert!(guard.is_held());
    refused(ErrorKind::Lost, soon("an answer", guard.release()).await?)?;
    // The hold has ended by its own clock.
    let guard = locks
        .lock(&name)
        .max_hold(Duration::from_millis(20))
        .acquire()
        .await?;
    soon("the end of the hold", guard.lost()).await?;
    refused(ErrorKind::Lost, soon("an answer", guard.release()).await?)?;
    Ok(())
}
