//! P15: no error and no unknown answer of a store ever yields a guard.

use distlock_core::{ErrorKind, FencingToken};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, refused, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(every_error_ends_an_acquisition_without_a_guard),
        Case::of(every_error_ends_a_try_without_a_guard),
        Case::of(every_error_ends_a_wait_and_leaves_nothing).needs([Need::StandsInLine]),
        Case::of(a_grant_without_a_number_is_no_guard),
        Case::of(a_store_that_is_down_is_unavailable_within_a_ttl).long(),
        Case::of(a_store_that_is_down_is_told_to_all_who_wait),
        Case::of(an_outage_that_is_over_is_over).long(),
        Case::of(a_store_that_is_down_keeps_its_promise_to_others),
        Case::of(a_backend_that_panics_costs_its_claim_only),
        Case::of(a_backend_that_panics_while_waiting_leaves_nothing).needs([Need::StandsInLine]),
        Case::of(an_inspection_that_fails_is_an_error),
    ]
}

/// All kinds but the one that means "ask again".
const FINAL: [ErrorKind; 8] = [
    ErrorKind::TimedOut,
    ErrorKind::Lost,
    ErrorKind::Unauthorized,
    ErrorKind::InvalidInput,
    ErrorKind::Unsupported,
    ErrorKind::Conflict,
    ErrorKind::Misconfigured,
    ErrorKind::Unexpected,
];

/// The error of the store is that of the caller, and the lock is as free as before.
async fn every_error_ends_an_acquisition_without_a_guard(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    for kind in FINAL {
        let name = cx.name();
        let asked = faults.count(Verb::Attempt);
        faults.add(Verb::Attempt, Which::Nth(1), Fault::Fail(kind));
        let error = refused(kind, soon("an answer", locks.lock(&name).acquire()).await?)?;
        assert_eq!(
            error.lock_name().map(|name| name.as_str()),
            Some(&*name),
            "an error that names the lock"
        );
        assert_eq!(
            faults.count(Verb::Attempt),
            asked + 1,
            "an error of kind {kind:?} is final"
        );
        soon("withdrawal", locks.settle()).await?;
        assert!(cx.state(&name).await?.is_free());
        soon(
            "the lock, once the store takes it",
            locks.lock(&name).acquire(),
        )
        .await??
        .release()
        .await?;
    }
    Ok(())
}

/// A try is `None` only if somebody else holds the lock.
async fn every_error_ends_a_try_without_a_guard(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    for kind in FINAL {
        let name = cx.name();
        faults.add(Verb::Attempt, Which::Nth(1), Fault::Fail(kind));
        refused(
            kind,
            soon("an answer", locks.lock(&name).try_acquire()).await?,
        )?;
        soon("withdrawal", locks.settle()).await?;
        assert!(cx.state(&name).await?.is_free());
    }
    Ok(())
}

/// Also when the store fails only later, with a place in line that has to go.
async fn every_error_ends_a_wait_and_leaves_nothing(cx: Context) -> Outcome {
    let holder = cx.client().await?;
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    for kind in FINAL {
        let waiting = tokio::spawn(locks.lock(&name).acquire());
        cx.until_waiting(&name, 1).await?;
        faults.add(Verb::Attempt, Which::All, Fault::Fail(kind));
        faults.tell_look();
        refused(kind, soon("an answer", waiting).await??)?;
        faults.heal();
        soon("withdrawal", locks.settle()).await?;
        cx.only_holder(&name, guard.token()).await?;
    }
    Ok(())
}

/// A number of which no token can be made that is greater than those before and fits an `i64`: the
/// grant is given back.
async fn a_grant_without_a_number_is_no_guard(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    for number in [0, FencingToken::MAX_NUMBER + 1, u64::MAX] {
        let lock = locks.lock(cx.name());
        faults.add(Verb::Attempt, Which::First(2), Fault::Number(number));
        refused(
            ErrorKind::Unexpected,
            soon("an answer", lock.acquire()).await?,
        )?;
        soon("withdrawal", locks.settle()).await?;
        refused(
            ErrorKind::Unexpected,
            soon("an answer", lock.try_acquire()).await?,
        )?;
        soon("withdrawal", locks.settle()).await?;
        assert!(
            lock.try_acquire().await?.is_some(),
            "a grant numbered {number} stands on"
        );
    }
    Ok(())
}

/// Of many who wait for one name, all know about as soon as the first, not one after the other: a
/// TTL after it came, each of them, and a request later.
async fn a_store_that_is_down_is_told_to_all_who_wait(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let limit = ttl + ttl / 6 + ALLOWANCE;
    for fault in [Fault::LoseRequest, Fault::Hang] {
        let (locks, faults) = cx.faulty().await?;
        let lock = locks.lock(cx.name()).ttl(ttl);
        faults.add(Verb::Attempt, Which::All, fault);
        let mut waiting = JoinSet::new();
        for number in 0..20 {
            let lock = lock.clone();
            waiting.spawn(async move {
                sleep(ttl / 100 * number).await;
                within(limit, "an answer for each who waits", lock.acquire()).await
            });
        }
        for answer in waiting.join_all().await {
            refused(ErrorKind::Unavailable, answer?)?;
        }
        faults.heal();
        soon("withdrawal", locks.settle()).await?;
    }
    Ok(())
}

/// Those who outlast an outage wait on, and one lost request of each long afterwards is just that.
async fn an_outage_that_is_over_is_over(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let holder = cx.client().await?;
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let held = holder.lock(&name).acquire().await?;
    let lock = locks.lock(&name).ttl(ttl);

    faults.add(Verb::Attempt, Which::All, Fault::LoseRequest);
    let first = tokio::spawn(lock.acquire());
    sleep(ttl * 3 / 5).await;
    let mut later = Vec::new();
    for _ in 0..3 {
        later.push(tokio::spawn(lock.acquire()));
        // They stand in line in this order.
        sleep(ttl / 60).await;
    }
    refused(ErrorKind::Unavailable, soon("an answer", first).await??)?;
    faults.heal();
    sleep(2 * ttl).await;

    // The first in line asks in vain, and then is told that it holds; so does the next.
    faults.add(Verb::Attempt, Which::Nth(1), Fault::LoseRequest);
    faults.add(Verb::Attempt, Which::Nth(3), Fault::LoseRequest);
    held.release().await?;
    for waiting in later {
        soon("the lock after an outage", waiting)
            .await???
            .release()
            .await?;
    }
    Ok(())
}

/// In whichever way it is down, the caller knows after a TTL: not at the first trouble, and not
/// never.
async fn a_store_that_is_down_is_unavailable_within_a_ttl(cx: Context) -> Outcome {
    let ttl = 3 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    for (fault, cause) in [
        (Fault::LoseRequest, "the request was lost"),
        (Fault::LoseReply, "the reply was lost"),
        (Fault::Hang, "did not answer"),
        (Fault::Fail(ErrorKind::Unavailable), "the store refused"),
    ] {
        let name = cx.name();
        let asked = faults.count(Verb::Attempt);
        faults.add(Verb::Attempt, Which::All, fault);
        // The last request may begin at the end of the TTL, and has a sixth of it.
        let limit = ttl + ttl / 6 + ALLOWANCE;
        let result = within(limit, "an answer", locks.lock(&name).ttl(ttl).acquire()).await?;
        let error = refused(ErrorKind::Unavailable, result)?;
        assert!(
            error.to_string().contains(cause),
            "{fault:?}: an error that does not say `{cause}`: {error}"
        );
        assert!(
            faults.count(Verb::Attempt) - asked >= 3,
            "{fault:?}: asked more than once or twice in a TTL"
        );
        faults.heal();
        soon("withdrawal", locks.settle()).await?;
        assert!(cx.state(&name).await?.is_free());
    }
    Ok(())
}

/// To one client the store is down, with the lock in its hands or not: no other is granted a lock
/// that is held.
async fn a_store_that_is_down_keeps_its_promise_to_others(cx: Context) -> Outcome {
    let ttl = 3 * cx.ttl();
    let (cut_off, faults) = cx.faulty().await?;
    let other = cx.client().await?;
    let name = cx.name();
    let guard = cut_off.lock(&name).ttl(ttl).acquire().await?;
    for verb in [Verb::Attempt, Verb::Renew, Verb::Release] {
        faults.add(verb, Which::All, Fault::LoseRequest);
    }
    let next = within(
        cx.gone_by(ttl),
        "the lock of one that is cut off",
        other.lock(&name).acquire(),
    )
    .await??;
    assert!(!guard.is_held(), "two that count themselves holders");
    assert!(next.token() > guard.token());
    Ok(())
}

/// A panic in a backend ends the one acquisition, as an error; holds and other acquisitions go on.
async fn a_backend_that_panics_costs_its_claim_only(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let (name, other) = (cx.name(), cx.name());
    let guard = locks.lock(&other).acquire().await?;
    for _ in 0..3 {
        faults.add(Verb::Attempt, Which::Nth(1), Fault::Panic);
        refused(
            ErrorKind::Unexpected,
            soon("an answer", locks.lock(&name).acquire()).await?,
        )?;
        faults.add(Verb::Attempt, Which::Nth(1), Fault::Panic);
        refused(
            ErrorKind::Unexpected,
            soon("an answer", locks.lock(&name).try_acquire()).await?,
        )?;
        soon("the next acquisition", locks.lock(&name).acquire())
            .await??
            .release()
            .await?;
    }
    assert!(guard.is_held(), "a panic for one lock cost another");
    guard.ensure(cx.calm() / 2).await?;
    guard.release().await?;
    Ok(())
}

/// With a place in the line, and neighbours behind it: the place goes, and they move up.
async fn a_backend_that_panics_while_waiting_leaves_nothing(cx: Context) -> Outcome {
    let holder = cx.client().await?;
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let unlucky = tokio::spawn(locks.lock(&name).acquire());
    cx.until_waiting(&name, 1).await?;
    let neighbour = tokio::spawn(locks.lock(&name).acquire());
    faults.add(Verb::Attempt, Which::Nth(1), Fault::Panic);
    faults.tell_look();
    refused(ErrorKind::Unexpected, soon("an answer", unlucky).await??)?;
    cx.until_waiting(&name, 1).await?;
    guard.release().await?;
    soon("the lock for the neighbour", neighbour)
        .await???
        .release()
        .await?;
    soon("withdrawal", locks.settle()).await?;
    cx.until_free(&name).await?;
    Ok(())
}

/// Not to know who holds a lock is not to know that it is free.
async fn an_inspection_that_fails_is_an_error(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = locks.lock(&name).ttl(3 * cx.ttl()).acquire().await?;
    let lines = [
        (Fault::LoseReply, ErrorKind::Unavailable),
        (Fault::Hang, ErrorKind::Unavailable),
        (
            Fault::Fail(ErrorKind::Unauthorized),
            ErrorKind::Unauthorized,
        ),
    ];
    for (fault, kind) in lines {
        faults.add(Verb::Inspect, Which::Nth(1), fault);
        refused(kind, soon("an answer", locks.inspect(&name)).await?)?;
    }
    // A watch goes on after it.
    let mut watch = locks.watch(&name);
    let fault = Fault::Fail(ErrorKind::Unauthorized);
    faults.add(Verb::Inspect, Which::All, fault);
    refused(
        ErrorKind::Unauthorized,
        soon("an answer", watch.next()).await?,
    )?;
    faults.heal();
    let state = soon("the state, once the store tells it", watch.next()).await??;
    assert_eq!(state.holders.len(), 1, "{state:?}");
    guard.release().await?;
    Ok(())
}
