//! P4: a guard counts itself valid only for as long as the store is sure to keep it.

use std::time::Duration;

use distlock_core::backend::Renewal;
use distlock_core::{Acquire, ErrorKind, Guard, Loss, Mode, Moment};
use tokio::time::sleep;

use crate::case::Case;
use crate::context::{ALLOWANCE, Context, refused, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_fresh_guard_is_valid_for_less_than_its_ttl),
        Case::of(a_grant_is_dated_from_before_it_was_asked_for),
        Case::of(a_renewal_is_dated_from_before_it_was_asked_for),
        Case::of(a_hold_is_never_dated_later_than_the_store_counts),
        Case::of(a_renewal_is_never_dated_later_than_the_store_counts),
        Case::of(a_hold_by_hand_over_is_dated_from_its_last_refresh).long(),
        Case::of(a_grant_that_comes_too_late_is_no_guard),
        Case::of(grants_that_always_come_too_late_are_an_error),
        Case::of(validity_ends_on_time_while_renewals_fail),
        Case::of(a_blocked_runtime_sees_the_loss_at_its_first_look),
        Case::of(work_that_blocks_past_the_validity_gives_nothing),
        Case::of(a_thread_of_its_own_holds_while_the_application_blocks),
    ]
}

/// The longest that a guard of this TTL may count itself valid: the TTL less the drift that is
/// allowed for.
fn validity(ttl: Duration) -> Duration {
    ttl.mul_f64(0.99) - Duration::from_millis(2)
}

/// At its birth, a guard is valid for no longer than the TTL less the margin, and for not much
/// less.
async fn a_fresh_guard_is_valid_for_less_than_its_ttl(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let ttl = 10 * cx.ttl();
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    let valid = guard.valid_for();
    assert!(
        valid <= validity(ttl),
        "valid for {valid:?} of a TTL of {ttl:?}"
    );
    assert!(
        valid > ttl / 3,
        "valid for {valid:?} of a TTL of {ttl:?}, with nothing in the way"
    );
    assert!(guard.is_held());
    Ok(())
}

/// The time that the answer took counts against the hold, not for it.
async fn a_grant_is_dated_from_before_it_was_asked_for(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let ttl = 10 * cx.ttl();
    let delay = ttl / 8;
    for fault in [Fault::DelayReply(delay), Fault::Stall(delay)] {
        faults.add(Verb::Attempt, Which::Nth(1), fault);
        let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
        let valid = guard.valid_for();
        assert!(
            valid <= validity(ttl) - delay,
            "valid for {valid:?} after an answer that took {delay:?} of {ttl:?}"
        );
        guard.release().await?;
    }
    Ok(())
}

/// The same for renewals.
async fn a_renewal_is_dated_from_before_it_was_asked_for(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let ttl = 10 * cx.ttl();
    let delay = ttl / 16;
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    faults.add(Verb::Renew, Which::All, Fault::DelayReply(delay));
    // All of it is over long before a quarter of the TTL, when a renewal may be due by itself.
    sleep(ttl / 40).await;
    // Less than it has now would be no reason to renew, and more than it can have is refused.
    let wanted = guard.valid_for() + Duration::from_millis(1);
    let ensured = guard.ensure(wanted.min(validity(ttl))).await;
    let valid = guard.valid_for();
    assert_eq!(
        faults.count(Verb::Renew),
        1,
        "renewals asked for by `ensure`"
    );
    assert!(
        valid <= validity(ttl) - delay,
        "valid for {valid:?} after a renewal that took {delay:?} of {ttl:?}"
    );
    // It gained a fortieth of the TTL and lost a sixteenth on the way, so there is less than was
    // asked for.
    refused(ErrorKind::Unavailable, ensured)?;
    assert!(guard.is_held());
    Ok(())
}

/// What a backend says of its validity, held against what the store does: nobody else has the name
/// before that is over.
async fn a_hold_is_never_dated_later_than_the_store_counts(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    let before = Moment::now();
    let hold = dead.hold().await?;
    assert!(
        hold.as_of <= before + before.elapsed(),
        "a hold dated in the future"
    );
    assert!(
        hold.ttl <= cx.ttl(),
        "a hold of {:?} where {:?} were asked for",
        hold.ttl,
        cx.ttl()
    );
    let end = hold.as_of + validity(hold.ttl);
    taken_over_after(end, cx.gone_by(cx.ttl()), locks.lock(&name).acquire()).await
}

/// The same of a renewal, half a TTL into the hold.
async fn a_renewal_is_never_dated_later_than_the_store_counts(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let locks = cx.client().await?;
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Exclusive, ttl).await?;
    let hold = dead.hold().await?;
    sleep(ttl / 2).await;
    let renewal = dead.renew().await?;
    let Renewal::Extended(as_of) = renewal else {
        panic!("a renewal within the TTL: {renewal:?}")
    };
    assert!(as_of <= Moment::now(), "a renewal dated in the future");
    let end = as_of + validity(hold.ttl);
    taken_over_after(end, cx.gone_by(ttl), locks.lock(&name).acquire()).await
}

/// A claim that finds itself granted has not been refreshed by finding out, unless that refreshed
/// it in the store too. Asked early and late in its TTL.
async fn a_hold_by_hand_over_is_dated_from_its_last_refresh(cx: Context) -> Outcome {
    let ttl = 4 * cx.ttl();
    for share in [0.15, 0.6] {
        let [one, two] = cx.clients().await?;
        let name = cx.name();
        let holder = one.lock(&name).acquire().await?;
        let granted = cx.bare(&name, Mode::Exclusive, ttl).await?;
        granted.wait().await?;
        sleep(ttl.mul_f64(share)).await;
        holder.release().await?;
        let hold = granted.hold().await?;
        let end = hold.as_of + validity(hold.ttl);
        taken_over_after(end, cx.gone_by(ttl), two.lock(&name).acquire()).await?;
    }
    Ok(())
}

/// The lock of a dead holder comes to another within `limit`, and not before `end`, up to which the
/// dead one would have counted itself valid.
async fn taken_over_after(end: Moment, limit: Duration, next: Acquire) -> Outcome {
    let guard = within(limit, "the lock of a dead holder", next).await??;
    assert!(
        end.remaining().is_zero(),
        "another holder {:?} before the validity of the last was over",
        end.remaining()
    );
    drop(guard);
    Ok(())
}

/// A grant whose answer takes longer than it is valid is not handed out; asked again, the store
/// grants it anew.
async fn a_grant_that_comes_too_late_is_no_guard(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let late = cx.ttl().mul_f64(1.2);
    for once in [false, true] {
        faults.add(Verb::Attempt, Which::Nth(1), Fault::Stall(late));
        let lock = locks.lock(&name).ttl(cx.ttl());
        let guard: Option<Guard> = if once {
            // Asking again may or may not fit into the time that a try has.
            lock.try_acquire().await.unwrap_or_default()
        } else {
            Some(
                within(
                    late + ALLOWANCE,
                    "the lock at the second attempt",
                    lock.acquire(),
                )
                .await??,
            )
        };
        if let Some(guard) = guard {
            assert!(
                guard.is_held() && !guard.valid_for().is_zero(),
                "a guard that is over when it is handed out"
            );
            guard.release().await?;
        }
        locks.settle().await;
        cx.until_free(&name).await?;
    }
    Ok(())
}

/// If every grant comes too late, the caller is told so, and nothing stays behind.
async fn grants_that_always_come_too_late_are_an_error(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    faults.add(
        Verb::Attempt,
        Which::All,
        Fault::Stall(cx.ttl().mul_f64(1.1)),
    );
    let acquire = locks.lock(&name).ttl(cx.ttl()).acquire();
    refused(
        ErrorKind::Unavailable,
        soon("an end to that", acquire).await?,
    )?;
    cx.until_free(&name).await?;
    Ok(())
}

/// While no renewal gets through, the guard is held until `valid_until` and not a moment longer, by
/// its own look.
async fn validity_ends_on_time_while_renewals_fail(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Renew, Which::All, Fault::LoseRequest);
    let guard = locks.lock(cx.name()).ttl(2 * cx.ttl()).acquire().await?;
    let now = Moment::now();
    let earliest = now + guard.valid_for();
    let latest = Moment::now() + guard.valid_for();
    loop {
        let before = Moment::now();
        let held = guard.is_held();
        let after = Moment::now();
        if held {
            assert!(
                before <= latest,
                "held {:?} after the end of its validity",
                latest.elapsed()
            );
        } else {
            assert!(
                after >= earliest,
                "lost {:?} before the end of its validity",
                earliest.remaining()
            );
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(guard.valid_for(), Duration::ZERO);
    assert_eq!(soon("the loss", guard.lost()).await?, Loss::Expired);
    Ok(())
}

/// An application that blocks its only thread past the TTL keeps the keeper from renewing, and from
/// telling. It sees the loss all the same, at its first look.
async fn a_blocked_runtime_sees_the_loss_at_its_first_look(cx: Context) -> Outcome {
    let seen = cx.elsewhere(|cx| async move {
        let locks = cx.client().await?;
        let guard = locks.lock(cx.name()).ttl(cx.ttl()).acquire().await?;
        let mut lost = guard.lost();
        std::thread::sleep(cx.ttl().mul_f64(1.2));
        let held = guard.is_held();
        let told = crate::polling::poll_once(&mut lost).await;
        Ok::<_, distlock_core::Error>((held, guard.valid_for(), told.is_ready()))
    });
    let (held, valid_for, told) = seen.await?;
    assert!(!held, "a guard is held after its TTL was slept away");
    assert_eq!(valid_for, Duration::ZERO);
    assert!(told, "`lost` is pending after its TTL was slept away");
    Ok(())
}

/// Work that blocks so long, and is then done, was not done under the lock.
async fn work_that_blocks_past_the_validity_gives_nothing(cx: Context) -> Outcome {
    let output = cx.elsewhere(|cx| async move {
        let locks = cx.client().await?;
        let guard = locks.lock(cx.name()).ttl(cx.ttl()).acquire().await?;
        let work = async { std::thread::sleep(cx.ttl().mul_f64(1.2)) };
        guard.while_held(work).await
    });
    refused(ErrorKind::Lost, output.await)?;
    Ok(())
}

/// With a thread of its own, an application that does so keeps its lock.
async fn a_thread_of_its_own_holds_while_the_application_blocks(cx: Context) -> Outcome {
    let held = cx.elsewhere(|cx| async move {
        let (builder, store) = (cx.builder(), cx.clone());
        let locks = builder
            .build_on_own_thread(move || async move { store.backend().await })
            .await?;
        let guard = locks.lock(cx.name()).ttl(cx.steady()).acquire().await?;
        std::thread::sleep(2 * cx.steady());
        let held = guard.is_held();
        guard.release().await?;
        Ok::<_, distlock_core::Error>(held)
    });
    assert!(
        held.await?,
        "the lock was lost while the application blocked, though a thread of its own renews it"
    );
    Ok(())
}
