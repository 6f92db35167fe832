//! P11: a request or an answer that is lost is asked again, under the same id: one hold, and none
//! that nobody knows of.

use std::time::Duration;

use distlock_core::backend::Attempt;
use distlock_core::{Guard, Mode};
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};
use crate::polling::poll_once;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(attempts_whose_requests_are_lost),
        Case::of(attempts_whose_answers_are_lost),
        Case::of(tries_whose_answers_are_lost),
        Case::of(a_grant_whose_answer_is_lost_while_waiting),
        Case::of(shared_and_permit_answers_that_are_lost).needs([Need::Shared, Need::Permits]),
        Case::of(renewals_whose_requests_are_lost),
        Case::of(renewals_whose_answers_are_lost),
        Case::of(releases_whose_requests_are_lost),
        Case::of(releases_whose_answers_are_lost),
        Case::of(a_caller_that_goes_while_the_answer_is_lost),
        Case::of(every_request_at_random),
        Case::of(asking_again_finds_the_same_hold),
    ]
}

/// Acquires while one to three attempts go wrong, and holds the lock once.
async fn acquires_through(cx: Context, fault: Fault) -> Outcome {
    for lost in 1..=3 {
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        faults.add(Verb::Attempt, Which::First(lost), fault);
        let guard = soon("the lock after some trouble", locks.lock(&name).acquire()).await??;
        assert_eq!(
            faults.count(Verb::Attempt),
            lost + 1,
            "attempts, of which {lost} met {fault:?}"
        );
        holds_once(&cx, &name, guard).await?;
    }
    Ok(())
}

/// The hold is the only trace in the store, and when it is released there is none.
async fn holds_once(cx: &Context, name: &str, guard: Guard) -> Outcome {
    assert!(guard.is_held());
    cx.only_holder(name, guard.token()).await?;
    guard.release().await?;
    let state = cx.state(name).await?;
    assert!(
        state.is_free(),
        "a ghost is left after the release: {state:?}"
    );
    Ok(())
}

/// The store has never heard of it.
async fn attempts_whose_requests_are_lost(cx: Context) -> Outcome {
    acquires_through(cx, Fault::LoseRequest).await
}

/// The store has granted the lock, and nobody knows.
async fn attempts_whose_answers_are_lost(cx: Context) -> Outcome {
    acquires_through(cx, Fault::LoseReply).await
}

/// A try finds its own grant as well, and does not take it for somebody else's.
async fn tries_whose_answers_are_lost(cx: Context) -> Outcome {
    for lost in 1..=3 {
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        faults.add(Verb::Attempt, Which::First(lost), Fault::LoseReply);
        let guard = soon(
            "an answer after some trouble",
            locks.lock(&name).try_acquire(),
        )
        .await??;
        let guard = guard.expect("nobody but the try itself holds the lock");
        holds_once(&cx, &name, guard).await?;

        // On a lock that is held, it leaves no place behind in spite of the trouble.
        let holder = cx.client().await?;
        let held = holder.lock(&name).acquire().await?;
        faults.add(Verb::Attempt, Which::First(lost), Fault::LoseReply);
        assert!(
            soon("an answer", locks.lock(&name).try_acquire())
                .await??
                .is_none()
        );
        soon("nothing to settle", locks.settle()).await?;
        holds_once(&cx, &name, held).await?;
    }
    Ok(())
}

/// The answers to a waiter are lost just when it is granted the lock.
async fn a_grant_whose_answer_is_lost_while_waiting(cx: Context) -> Outcome {
    for lost in 1..=3 {
        let holder = cx.client().await?;
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        let guard = holder.lock(&name).acquire().await?;
        let waiting = tokio::spawn(locks.lock(&name).ttl(5 * cx.ttl()).acquire());
        cx.until_waiting(&name, 1).await?;
        faults.add(Verb::Attempt, Which::First(lost), Fault::LoseReply);
        guard.release().await?;
        let guard = soon("the lock after some trouble", waiting).await???;
        holds_once(&cx, &name, guard).await?;
    }
    Ok(())
}

/// In the modes in which several hold, a ghost would not even be noticed by exclusion.
async fn shared_and_permit_answers_that_are_lost(cx: Context) -> Outcome {
    for lost in 1..=3 {
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        for acquire in [
            locks.rw_lock(&name).read(),
            locks.semaphore(&name, 5).acquire(),
        ] {
            faults.add(Verb::Attempt, Which::First(lost), Fault::LoseReply);
            let guard = soon("the lock after some trouble", acquire).await??;
            holds_once(&cx, &name, guard).await?;
        }
    }
    Ok(())
}

/// Keeps a hold while the k-th renewal, for each k of three, goes wrong.
async fn renews_through(cx: Context, fault: Fault) -> Outcome {
    let ttl = 3 * cx.ttl();
    for number in 1..=3 {
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        faults.add(Verb::Renew, Which::Nth(number), fault);
        let guard = locks.lock(&name).ttl(ttl).acquire().await?;
        within(
            3 * ttl,
            "the renewal after the one that went wrong",
            faults.seen(Verb::Renew, number + 1),
        )
        .await?;
        holds_once(&cx, &name, guard).await?;
    }
    Ok(())
}

/// A renewal that the store has never heard of is asked for again, in time.
async fn renewals_whose_requests_are_lost(cx: Context) -> Outcome {
    renews_through(cx, Fault::LoseRequest).await
}

/// A renewal that the store has done, too.
async fn renewals_whose_answers_are_lost(cx: Context) -> Outcome {
    renews_through(cx, Fault::LoseReply).await
}

/// Releases while one to three requests go wrong; the outcome is that of a release.
async fn releases_through(cx: Context, fault: Fault) -> Outcome {
    for lost in 1..=3 {
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        for explicit in [true, false] {
            let guard = locks.lock(&name).acquire().await?;
            faults.add(Verb::Release, Which::First(lost), fault);
            if explicit {
                soon("the release", guard.release()).await??;
            } else {
                drop(guard);
                soon("the release", locks.settle()).await?;
            }
            let state = cx.state(&name).await?;
            assert!(
                state.is_free(),
                "something is left after a release that met {fault:?}: {state:?}"
            );
        }
    }
    Ok(())
}

/// The store has never heard of the release.
async fn releases_whose_requests_are_lost(cx: Context) -> Outcome {
    releases_through(cx, Fault::LoseRequest).await
}

/// The store has done it; asked again it finds nothing, which does not mean that the hold had been
/// lost.
async fn releases_whose_answers_are_lost(cx: Context) -> Outcome {
    releases_through(cx, Fault::LoseReply).await
}

/// The caller gives up while it is not known whether the lock was granted: what was granted is
/// given back.
async fn a_caller_that_goes_while_the_answer_is_lost(cx: Context) -> Outcome {
    for waited in 0..5 {
        let (locks, faults) = cx.faulty().await?;
        let name = cx.name();
        faults.add(Verb::Attempt, Which::All, Fault::LoseReply);
        faults.add(Verb::Release, Which::First(1), Fault::LoseReply);
        let mut acquire = locks.lock(&name).acquire();
        assert!(poll_once(&mut acquire).await.is_pending());
        soon("an attempt", faults.seen(Verb::Attempt, 1)).await?;
        sleep(Duration::from_millis(waited)).await;
        drop(acquire);
        soon("the withdrawal", locks.settle()).await?;
        let state = cx.state(&name).await?;
        assert!(
            state.is_free(),
            "a ghost is left by a caller that has gone: {state:?}"
        );
    }
    Ok(())
}

/// Requests and answers of all kinds are lost at random, several clients contend, and in the end
/// nobody holds anything.
async fn every_request_at_random(cx: Context) -> Outcome {
    let ttl = 10 * cx.ttl();
    let name = cx.name();
    let counter = std::sync::Arc::new(crate::counter::Counter::default());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (locks, faults) = cx.faulty().await?;
        for verb in [Verb::Attempt, Verb::Renew, Verb::Release] {
            for _ in 0..8 {
                let fault = if fastrand::bool() {
                    Fault::LoseRequest
                } else {
                    Fault::LoseReply
                };
                faults.add(verb, Which::Nth(fastrand::u32(1..30)), fault);
            }
        }
        let counter = std::sync::Arc::clone(&counter);
        let lock = locks.lock(&name).ttl(ttl);
        tasks.spawn(async move {
            for _ in 0..8 {
                let guard = lock.acquire().await?;
                counter.add_one(guard.token()).await;
                guard.release().await?;
            }
            locks.settle().await;
            Outcome::Ok(())
        });
    }
    for ended in within(
        cx.case_limit() / 2,
        "all rounds in spite of the trouble",
        tasks.join_all(),
    )
    .await?
    {
        ended?;
    }
    assert_eq!(counter.value(), 4 * 8, "updates that were not lost");
    assert!(cx.state(&name).await?.is_free(), "a ghost is left");
    Ok(())
}

/// What the engine relies on: the same claim, asked any number of times and in both ways, has one
/// hold.
async fn asking_again_finds_the_same_hold(cx: Context) -> Outcome {
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    let Attempt::Held(first) = claim.attempt_once().await? else {
        panic!("a free name can be had")
    };
    for _ in 0..5 {
        assert_eq!(
            claim.hold().await?.number,
            first.number,
            "the number of one hold"
        );
    }
    within(
        ALLOWANCE,
        "one holder",
        cx.only_holder(&name, crate::bare::token(first)?),
    )
    .await??;
    // So has one that waits: one place, however often it asks.
    let waiting = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    for _ in 0..3 {
        waiting.wait().await?;
    }
    let state = cx.state(&name).await?;
    assert_eq!(
        state.waiters.len(),
        1,
        "places of one claim that asked three times: {state:?}"
    );
    Ok(())
}
