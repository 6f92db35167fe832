//! P6: what is held, and what waits, is renewed until it ends, and never after.

use std::time::Duration;

use distlock_core::backend::{Attempt, ClaimRequest, Patience, Released, Renewal};
use distlock_core::{ErrorKind, Expiry, Guard, Locks, Loss, Mode, Moment, Name, TryAcquire, Ttl};
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, refused, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_hold_outlives_its_ttl).long(),
        Case::of(readers_outlive_their_ttl)
            .long()
            .needs([Need::Shared]),
        Case::of(permits_outlive_their_ttl)
            .long()
            .needs([Need::Permits]),
        Case::of(a_place_in_line_outlives_its_ttl)
            .long()
            .needs([Need::Fair]),
        Case::of(a_hold_that_waited_long_is_kept)
            .long()
            .needs([Need::Fair]),
        Case::of(renewals_come_as_often_as_they_should),
        Case::of(a_renewal_comes_within_a_third_of_the_ttl).long(),
        Case::of(nothing_is_renewed_after_release).long(),
        Case::of(max_hold_ends_the_hold_and_frees_the_name),
        Case::of(a_max_hold_within_the_ttl_means_no_renewal),
        Case::of(no_renewal_ensures_more_than_max_hold_allows),
        Case::of(a_renewal_after_expiry_revives_nothing),
        Case::of(a_renewal_after_release_revives_nothing),
        Case::of(a_renewal_after_a_successor_leaves_it_alone),
        Case::of(a_renewal_takes_no_hold_made_anew_for_the_old_one).needs([Need::ClaimsExpire]),
    ]
}

/// Fails if these holds end within three TTLs, or if one who tries gets in beside them.
async fn outlive(cx: &Context, guards: &[Guard], attempt: impl Fn() -> TryAcquire) -> Outcome {
    let until = Moment::now() + 3 * cx.steady();
    while !until.remaining().is_zero() {
        assert!(
            guards.iter().all(Guard::is_held),
            "lost with nothing in the way of its renewals"
        );
        assert!(
            attempt().await?.is_none(),
            "another holder beside one that is renewed"
        );
        sleep(cx.steady() / 16).await;
    }
    Ok(())
}

/// Exclusive holds, three times their TTL long; a `max_hold` that is longer still is no hindrance.
async fn a_hold_outlives_its_ttl(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let lock = one.lock(&name).ttl(cx.steady());
    let limited = one.lock(cx.name()).ttl(cx.steady());
    let guards = [
        lock.acquire().await?,
        limited.max_hold(cx.case_limit()).acquire().await?,
    ];
    outlive(&cx, &guards, || other.lock(&name).try_acquire()).await?;
    for guard in guards {
        guard.release().await?;
    }
    cx.until_free(&name).await?;
    Ok(())
}

/// Shared holds of two clients, against a writer.
async fn readers_outlive_their_ttl(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let readers = [
        one.rw_lock(&name).ttl(cx.steady()).read().await?,
        other.rw_lock(&name).ttl(cx.steady()).read().await?,
    ];
    outlive(&cx, &readers, || other.rw_lock(&name).try_write()).await
}

/// Permits of two clients, against a third.
async fn permits_outlive_their_ttl(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let permits = [
        one.semaphore(&name, 2).ttl(cx.steady()).acquire().await?,
        other.semaphore(&name, 2).ttl(cx.steady()).acquire().await?,
    ];
    outlive(&cx, &permits, || other.semaphore(&name, 2).try_acquire()).await
}

/// A waiter that has waited for many TTLs is still before one that came later.
async fn a_place_in_line_outlives_its_ttl(cx: Context) -> Outcome {
    let clients: [Locks; 3] = cx.clients().await?;
    let name = cx.name();
    let holder = clients[0].lock(&name).acquire().await?;
    let first = tokio::spawn(clients[1].lock(&name).ttl(cx.steady()).acquire());
    cx.until_waiting(&name, 1).await?;
    let second = tokio::spawn(clients[2].lock(&name).acquire());
    cx.until_waiting(&name, 2).await?;
    sleep(3 * cx.steady()).await;
    cx.until_waiting(&name, 2).await?;
    holder.release().await?;
    let guard = soon("the lock for the first who waited", first).await???;
    assert!(
        !second.is_finished(),
        "the second who waited was granted beside the first"
    );
    guard.release().await?;
    soon("the lock for the second who waited", second)
        .await???
        .release()
        .await?;
    Ok(())
}

/// A hold that was granted while it waited is renewed from then on, as any other.
async fn a_hold_that_waited_long_is_kept(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let waiting = tokio::spawn(two.lock(&name).ttl(cx.steady()).acquire());
    cx.until_waiting(&name, 1).await?;
    sleep(cx.steady().mul_f64(1.7)).await;
    holder.release().await?;
    let guard = soon("the lock after a long wait", waiting).await???;
    outlive(&cx, &[guard], || three.lock(&name).try_acquire()).await
}

/// About three renewals a TTL: enough that two may fail, and no more than that needs.
async fn renewals_come_as_often_as_they_should(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let (locks, faults) = cx.faulty().await?;
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    let began = Moment::now();
    within(
        2 * ttl + ALLOWANCE,
        "six renewals, a third of the TTL apart",
        faults.seen(Verb::Renew, 6),
    )
    .await?;
    let took = began.elapsed();
    assert!(guard.is_held());
    // Six times three quarters of a third of the TTL at the least, by the jitter that is allowed.
    assert!(
        took >= ttl.mul_f64(1.4),
        "six renewals in {took:?} of a TTL of {ttl:?}"
    );
    Ok(())
}

/// Under a TTL so long that a loaded machine does not count. One that fails does not have to wait
/// for the next third.
async fn a_renewal_comes_within_a_third_of_the_ttl(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Renew, Which::Nth(1), Fault::LoseRequest);
    let _guard = locks.lock(cx.name()).acquire().await?;
    let limit = cx.calm() / 3 + ALLOWANCE;
    within(limit, "a renewal", faults.seen(Verb::Renew, 1)).await?;
    let next = faults.seen(Verb::Renew, 2);
    soon("another renewal after one that failed", next).await?;
    Ok(())
}

/// A released hold is not renewed any more, and does not come back.
async fn nothing_is_renewed_after_release(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let names: Vec<_> = (0..6).map(|_| cx.name()).collect();
    for (number, name) in names.iter().enumerate() {
        let guard = locks.lock(name).ttl(cx.steady()).acquire().await?;
        // At various points between two renewals.
        sleep(cx.steady().mul_f64(number as f64 / 12.0)).await;
        if number % 2 == 0 {
            guard.release().await?;
        } else {
            drop(guard);
        }
    }
    locks.settle().await;
    let renewals = faults.count(Verb::Renew);
    let until = Moment::now() + 2 * cx.steady();
    while !until.remaining().is_zero() {
        for name in &names {
            assert!(cx.state(name).await?.is_free(), "a released hold came back");
        }
        sleep(cx.steady() / 10).await;
    }
    assert_eq!(
        faults.count(Verb::Renew),
        renewals,
        "renewals after the last release"
    );
    Ok(())
}

/// However healthy, a hold ends at its `max_hold`, with that as the reason, and others get the name
/// at once.
async fn max_hold_ends_the_hold_and_frees_the_name(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let limit = 2 * cx.ttl();
    let before = Moment::now();
    let guard = one.lock(&name).max_hold(limit).acquire().await?;
    let waiting = tokio::spawn(other.lock(&name).acquire());
    assert!(
        guard.valid_for() <= limit,
        "valid for {:?} with a max_hold of {limit:?}",
        guard.valid_for()
    );
    let loss = within(limit + ALLOWANCE, "the end of the hold", guard.lost()).await?;
    assert_eq!(loss, Loss::MaxHold);
    assert!(
        before.elapsed() >= limit,
        "ended {:?} into a max_hold of {limit:?}",
        before.elapsed()
    );
    assert!(!guard.is_held());
    soon("the lock of a holder that is over its limit", waiting)
        .await???
        .release()
        .await?;
    refused(ErrorKind::Lost, guard.release().await)?;
    Ok(())
}

/// A limit within the validity of the first grant needs no renewal, and gets none. A grant under a
/// session that has been used before may be valid for no more than what the session has left.
async fn a_max_hold_within_the_ttl_means_no_renewal(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let ttl = cx.steady();
    let long = match cx.capabilities().expiry {
        Expiry::PerSession => ttl / 2,
        _ => ttl * 4 / 5,
    };
    for limit in [ttl / 6, long] {
        let name = cx.name();
        let lock = locks.lock(&name).ttl(ttl).max_hold(limit);
        let guard = lock.acquire().await?;
        assert_eq!(
            within(ttl + ALLOWANCE, "the end of the hold", guard.lost()).await?,
            Loss::MaxHold
        );
        cx.until_free(&name).await?;
        assert_eq!(
            faults.count(Verb::Renew),
            0,
            "renewals of a hold that its first grant outlasts"
        );
    }
    Ok(())
}

/// Who needs the lock for longer than its `max_hold` is told so, without being kept waiting.
async fn no_renewal_ensures_more_than_max_hold_allows(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let lock = locks.lock(cx.name()).max_hold(cx.calm() / 2);
    let guard = lock.acquire().await?;
    let ensured = soon("an answer", guard.ensure(cx.calm() * 3 / 4)).await?;
    let error = refused(ErrorKind::Lost, ensured)?.to_string();
    assert!(error.contains("max_hold"), "an error that says `{error}`");
    assert!(guard.is_held(), "lost long before its max_hold");
    guard.release().await?;
    Ok(())
}

/// A renewal that comes after the hold has expired says so, and makes no new one.
async fn a_renewal_after_expiry_revives_nothing(cx: Context) -> Outcome {
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    claim.hold().await?;
    let limit = cx.gone_by(cx.ttl());
    cx.until_within(limit, &name, "an expired hold to be gone", |state| {
        state.is_free()
    })
    .await?;
    for _ in 0..2 {
        let renewal = claim.renew().await?;
        assert!(
            matches!(renewal, Renewal::Lost),
            "a renewal after expiry: {renewal:?}"
        );
        assert!(
            cx.state(&name).await?.is_free(),
            "a renewal brought an expired hold back"
        );
    }
    assert_eq!(claim.release().await?, Released::NotHeld);
    Ok(())
}

/// The same after a release.
async fn a_renewal_after_release_revives_nothing(cx: Context) -> Outcome {
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    claim.hold().await?;
    assert_eq!(claim.release().await?, Released::Held);
    let renewal = claim.renew().await?;
    assert!(
        matches!(renewal, Renewal::Lost),
        "a renewal after release: {renewal:?}"
    );
    assert!(
        cx.state(&name).await?.is_free(),
        "a renewal brought a released hold back"
    );
    Ok(())
}

/// A request that came late has made the claim anew, under another number: the hold that was
/// granted first is gone all the same.
async fn a_renewal_takes_no_hold_made_anew_for_the_old_one(cx: Context) -> Outcome {
    let name = Name::in_namespace(cx.namespace(), cx.name())?;
    let ttl = Ttl::new(cx.calm(), cx.capabilities())?;
    let request = ClaimRequest::new(name, Mode::Exclusive, ttl);
    let backend = cx.backend().await?;
    let [mut claim, mut late] = [backend.claim(request.clone())?, backend.claim(request)?];
    let once = Patience::none(ALLOWANCE);
    let Attempt::Held(old) = claim.attempt(&once).await? else {
        panic!("not granted, though nobody is in the way");
    };
    assert_eq!(late.release(once.deadline()).await?, Released::Held);
    let Attempt::Held(new) = late.attempt(&once).await? else {
        panic!("not granted anew, though nobody is in the way");
    };
    assert!(new.number > old.number);
    let renewal = claim.renew(once.deadline()).await?;
    assert!(
        matches!(renewal, Renewal::Lost),
        "a renewal of number {}, now that number {} stands there: {renewal:?}",
        old.number,
        new.number
    );
    late.release(once.deadline()).await?;
    Ok(())
}

/// A renewal that comes when somebody else holds the name extends nobody: not the dead, and not the
/// successor.
async fn a_renewal_after_a_successor_leaves_it_alone(cx: Context) -> Outcome {
    let name = cx.name();
    let late = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    late.hold().await?;
    let limit = cx.gone_by(cx.ttl());
    cx.until_within(limit, &name, "an expired hold to be gone", |state| {
        state.is_free()
    })
    .await?;
    let successor = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    successor.hold().await?;
    let until = Moment::now() + limit;
    // The one that came too late goes on asking, at a rate that would keep the name for ever.
    while !cx.state(&name).await?.is_free() {
        assert!(
            !until.remaining().is_zero(),
            "renewals of one claim kept another alive"
        );
        let renewal = late.renew().await?;
        assert!(
            matches!(renewal, Renewal::Lost),
            "a renewal beside a successor: {renewal:?}"
        );
        sleep((cx.ttl() / 6).min(Duration::from_millis(200))).await;
    }
    Ok(())
}
