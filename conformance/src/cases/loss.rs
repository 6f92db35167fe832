//! P5: a loss is told at the end of the validity at the latest, and a failed renewal is not one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use distlock_core::{ErrorKind, Guard, Loss, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, refused, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(told_on_time_when_renewals_fail),
        Case::of(told_on_time_when_renewals_hang),
        Case::of(told_on_time_when_the_answers_of_renewals_are_lost),
        Case::of(a_failed_renewal_is_not_a_loss).long(),
        Case::of(a_store_that_recovers_in_time_keeps_the_hold),
        Case::of(a_hold_that_the_store_forgot_is_told_at_its_renewal),
        Case::of(a_revocation_that_is_pushed_is_told_at_once),
        Case::of(a_revocation_that_is_pushed_while_a_renewal_hangs_is_told_at_once),
        Case::of(a_revocation_that_overtakes_the_grant_is_told),
        Case::of(a_place_that_was_said_to_be_gone_is_no_loss_of_the_grant)
            .needs([Need::StandsInLine]),
        Case::of(everybody_is_told),
        Case::of(a_lost_guard_stays_lost_and_frees_the_name),
        Case::of(an_answer_that_comes_after_the_end_brings_nothing_back),
        Case::of(release_is_told_as_such),
        Case::of(work_under_the_lock_ends_with_the_lock),
        Case::of(a_run_whose_lock_was_lost_says_so),
        Case::of(ensure_tells_the_loss).long(),
        Case::of(an_empty_line_behind_a_lost_hold_moves_up),
    ]
}

/// A guard of a store whose renewals all meet this fault, until healed, and when its validity ends.
async fn doomed(
    cx: &Context,
    fault: Fault,
    ttl: Duration,
) -> distlock_core::Result<(Guard, Moment)> {
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Renew, Which::All, fault);
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    let end = Moment::now() + guard.valid_for();
    Ok((guard, end))
}

async fn told_on_time(cx: Context, fault: Fault) -> Outcome {
    let ttl = 2 * cx.ttl();
    let (guard, end) = doomed(&cx, fault, ttl).await?;
    let loss = within(end.remaining() + ALLOWANCE, "the loss", guard.lost()).await?;
    assert_eq!(loss, Loss::Expired);
    // Measured after the validity was read, so the true end may be a moment earlier.
    assert!(
        end.remaining() <= Duration::from_millis(5),
        "told {:?} early",
        end.remaining()
    );
    assert!(!guard.is_held());
    refused(ErrorKind::Lost, guard.release().await)?;
    Ok(())
}

/// Renewals that fail at once.
async fn told_on_time_when_renewals_fail(cx: Context) -> Outcome {
    told_on_time(cx, Fault::LoseRequest).await
}

/// Renewals that do not return: the loss does not wait for them.
async fn told_on_time_when_renewals_hang(cx: Context) -> Outcome {
    told_on_time(cx, Fault::Hang).await
}

/// Renewals that the store has done: what is not known does not count.
async fn told_on_time_when_the_answers_of_renewals_are_lost(cx: Context) -> Outcome {
    told_on_time(cx, Fault::LoseReply).await
}

/// One renewal fails in every way there is: not known is not lost.
async fn a_failed_renewal_is_not_a_loss(cx: Context) -> Outcome {
    let ttl = 5 * cx.ttl();
    for fault in [
        Fault::LoseRequest,
        Fault::LoseReply,
        Fault::Hang,
        Fault::Fail(ErrorKind::Unexpected),
        Fault::Fail(ErrorKind::Unauthorized),
        Fault::Panic,
    ] {
        let (locks, faults) = cx.faulty().await?;
        faults.add(Verb::Renew, Which::Nth(1), fault);
        let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
        within(
            2 * ttl,
            "the renewal after the one that failed",
            faults.seen(Verb::Renew, 2),
        )
        .await?;
        assert!(guard.is_held(), "lost by one renewal that met {fault:?}");
        within(ttl, "a renewal that extends", guard.ensure(ttl / 2)).await??;
        guard.release().await?;
    }
    Ok(())
}

/// The store is out of reach for half a TTL at a time, and the hold lives on.
async fn a_store_that_recovers_in_time_keeps_the_hold(cx: Context) -> Outcome {
    let ttl = 4 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = locks.lock(&name).ttl(ttl).acquire().await?;
    for _ in 0..3 {
        faults.add(Verb::Renew, Which::All, Fault::LoseRequest);
        within(
            ttl,
            "a renewal that fails",
            faults.seen(Verb::Renew, faults.count(Verb::Renew) + 2),
        )
        .await?;
        assert!(guard.is_held(), "lost though validity was left");
        faults.heal();
        within(
            ttl,
            "a renewal once the store is back",
            guard.ensure(ttl / 2),
        )
        .await??;
    }
    cx.only_holder(&name, guard.token()).await?;
    guard.release().await?;
    Ok(())
}

/// An operator removes the entry: the next renewal finds out, and the hold is not made anew.
async fn a_hold_that_the_store_forgot_is_told_at_its_renewal(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = locks.lock(&name).ttl(4 * cx.ttl()).acquire().await?;
    faults.add(Verb::Renew, Which::Nth(1), Fault::Forget);
    let loss = within(4 * cx.ttl(), "the loss", guard.lost()).await?;
    assert_eq!(loss, Loss::Revoked, "the store said so");
    assert!(!guard.is_held());
    assert!(
        cx.state(&name).await?.is_free(),
        "a hold that the store forgot came back"
    );
    refused(ErrorKind::Lost, guard.release().await)?;
    Ok(())
}

/// The store says by itself that the hold is gone: that is told long before any renewal.
async fn a_revocation_that_is_pushed_is_told_at_once(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let guard = locks.lock(cx.name()).acquire().await?;
    faults.tell_gone();
    assert!(
        !guard.is_held(),
        "held, though the store has said that it is gone"
    );
    assert_eq!(guard.valid_for(), Duration::ZERO);
    assert_eq!(soon("the loss", guard.lost()).await?, Loss::Revoked);
    assert_eq!(
        faults.count(Verb::Renew),
        0,
        "told before anything was asked"
    );
    refused(ErrorKind::Lost, guard.release().await)?;
    Ok(())
}

/// The same while a renewal is under way that does not return.
async fn a_revocation_that_is_pushed_while_a_renewal_hangs_is_told_at_once(cx: Context) -> Outcome {
    let ttl = 5 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Renew, Which::All, Fault::Stall(ttl));
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    let lost = guard.lost();
    within(ttl, "a renewal", faults.seen(Verb::Renew, 1)).await?;
    faults.tell_gone();
    assert!(
        !guard.is_held(),
        "held, though the store has said that it is gone"
    );
    assert_eq!(within(ttl / 4, "the loss", lost).await?, Loss::Revoked);
    Ok(())
}

/// The store says so before the answer that grants the hold has come.
async fn a_revocation_that_overtakes_the_grant_is_told(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let late = Duration::from_millis(500);
    faults.add(Verb::Attempt, Which::Nth(1), Fault::DelayReply(late));
    let acquiring = tokio::spawn(locks.lock(cx.name()).acquire());
    soon("a request", faults.seen(Verb::Attempt, 1)).await?;
    faults.tell_gone();
    let guard = soon("the grant", acquiring).await???;
    assert_eq!(soon("the loss", guard.lost()).await?, Loss::Revoked);
    refused(ErrorKind::Lost, guard.release().await)?;
    Ok(())
}

/// What the store said of a place in line does not count against what it granted to a later
/// request.
async fn a_place_that_was_said_to_be_gone_is_no_loss_of_the_grant(cx: Context) -> Outcome {
    let one = cx.client().await?;
    let (other, faults) = cx.faulty().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let waiting = tokio::spawn(other.lock(&name).acquire());
    cx.until_waiting(&name, 1).await?;
    faults.tell_gone();
    let asked = faults.count(Verb::Attempt);
    faults.tell_look();
    soon("another request", faults.seen(Verb::Attempt, asked + 1)).await?;
    holder.release().await?;
    let guard = soon("the lock", waiting).await???;
    assert!(
        guard.is_held(),
        "lost, though all that the store said to be gone was a place in line, before the grant"
    );
    guard.release().await?;
    Ok(())
}

/// Many guards that are lost together, each with several listeners: all are told, none twice or
/// late.
async fn everybody_is_told(cx: Context) -> Outcome {
    const GUARDS: usize = 100;
    let ttl = 2 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Renew, Which::All, Fault::LoseRequest);
    let mut guards = Vec::new();
    let mut listeners = JoinSet::new();
    for _ in 0..GUARDS {
        let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
        (0..3).for_each(|_| drop(listeners.spawn(guard.lost())));
        guards.push(guard);
    }
    let losses = within(ttl + ALLOWANCE, "all losses", listeners.join_all()).await?;
    assert_eq!(losses, vec![Loss::Expired; 3 * GUARDS]);
    assert!(guards.iter().all(|guard| !guard.is_held()));
    Ok(())
}

/// A hold that is over stays over when the store comes back; the name is given back without its
/// user doing anything.
async fn a_lost_guard_stays_lost_and_frees_the_name(cx: Context) -> Outcome {
    let ttl = 2 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    // The store goes on extending the hold while the answers are lost, so only a release frees it
    // early.
    faults.add(Verb::Renew, Which::All, Fault::LoseReply);
    let guard = locks.lock(&name).ttl(ttl).acquire().await?;
    within(ttl + ALLOWANCE, "the loss", guard.lost()).await?;
    faults.heal();
    cx.until_free(&name).await?;
    let renewals = faults.count(Verb::Renew);
    let next = soon("the lock that was lost", locks.lock(&name).try_acquire()).await??;
    assert!(next.is_some(), "a lost hold blocks its own client");
    sleep(ttl / 2).await;
    assert!(!guard.is_held(), "a lost guard came back");
    assert_eq!(
        faults.count(Verb::Renew),
        renewals,
        "renewals of a lost hold"
    );
    Ok(())
}

/// An application blocks its only thread past the end of a hold while a renewal is under way. That
/// the store has done it comes to light only afterwards, when the loss has been seen already.
async fn an_answer_that_comes_after_the_end_brings_nothing_back(cx: Context) -> Outcome {
    let seen = cx.elsewhere(|cx| async move {
        let ttl = 5 * cx.ttl();
        let (locks, faults) = cx.faulty().await?;
        faults.add(Verb::Renew, Which::Nth(1), Fault::Stall(ttl / 5));
        let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
        faults.seen(Verb::Renew, 1).await;
        std::thread::sleep(guard.valid_for() + ttl / 20);
        let at_first = guard.is_held();
        sleep(ttl / 20).await;
        Ok::<_, distlock_core::Error>((at_first, guard.is_held()))
    });
    let (at_first, later) = seen.await?;
    assert!(!at_first, "a guard is held after its TTL was slept away");
    assert!(!later, "a lost guard came back");
    Ok(())
}

/// Who listens learns of the release, by either way, and does not hang.
async fn release_is_told_as_such(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let lock = locks.lock(cx.name());
    for explicit in [true, false] {
        let guard = lock.acquire().await?;
        let (before, waiting) = (guard.lost(), tokio::spawn(guard.lost()));
        if explicit {
            guard.release().await?;
        } else {
            drop(guard);
        }
        assert_eq!(soon("the end of the hold", before).await?, Loss::Released);
        assert_eq!(soon("the end of the hold", waiting).await??, Loss::Released);
    }
    Ok(())
}

/// Work that runs under the lock is dropped when the lock is lost; work that is done in time gives
/// its output.
async fn work_under_the_lock_ends_with_the_lock(cx: Context) -> Outcome {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (guard, end) = doomed(&cx, Fault::LoseRequest, 2 * cx.ttl()).await?;
    assert_eq!(guard.while_held(async { 42 }).await?, 42);
    let stopped = Arc::new(AtomicBool::new(false));
    let dropped = Dropped(Arc::clone(&stopped));
    let work = async move {
        let _dropped = dropped;
        std::future::pending::<()>().await;
    };
    let ended = within(
        end.remaining() + ALLOWANCE,
        "the end of the work",
        guard.while_held(work),
    )
    .await?;
    refused(ErrorKind::Lost, ended)?;
    assert!(
        stopped.load(Ordering::SeqCst),
        "the work goes on without the lock"
    );
    refused(ErrorKind::Lost, guard.while_held(async { 42 }).await)?;
    Ok(())
}

/// The work is done, but the store had forgotten the hold meanwhile, as the release finds out.
async fn a_run_whose_lock_was_lost_says_so(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let lock = locks.lock(cx.name());
    let run = lock.run(async |_| faults.add(Verb::Release, Which::Nth(1), Fault::Forget));
    refused(ErrorKind::Lost, soon("an answer", run).await?)?;
    Ok(())
}

/// `ensure` renews when it must, and does not say that all is well when it is not.
async fn ensure_tells_the_loss(cx: Context) -> Outcome {
    let ttl = 2 * cx.steady();
    let (locks, faults) = cx.faulty().await?;
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    guard.ensure(ttl / 10).await?;
    assert_eq!(faults.count(Verb::Renew), 0, "enough was left");
    sleep(ttl / 5).await;
    let wanted = ttl.mul_f64(0.85);
    guard.ensure(wanted).await?;
    assert!(
        faults.count(Verb::Renew) >= 1,
        "less was left than was asked for"
    );
    refused(ErrorKind::InvalidInput, guard.ensure(2 * ttl).await)?;
    faults.add(Verb::Renew, Which::All, Fault::LoseRequest);
    sleep(ttl / 5).await;
    refused(
        ErrorKind::Lost,
        within(ttl + ALLOWANCE, "an answer", guard.ensure(wanted)).await?,
    )?;
    Ok(())
}

/// A holder that is stuck and loses its hold does not keep its own client's waiters out.
async fn an_empty_line_behind_a_lost_hold_moves_up(cx: Context) -> Outcome {
    let ttl = 2 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    let lock = locks.lock(cx.name()).ttl(ttl);
    let stuck = lock.acquire().await?;
    faults.add(Verb::Renew, Which::All, Fault::LoseRequest);
    let waiting = tokio::spawn(lock.acquire());
    within(ttl + ALLOWANCE, "the loss", stuck.lost()).await?;
    let guard = within(cx.gone_by(ttl), "the lock behind a stuck holder", waiting).await???;
    assert!(guard.token() > stuck.token() && guard.is_held());
    Ok(())
}
