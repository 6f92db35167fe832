//! P3: whoever stops, stops blocking others at most TTL and slack after the store last heard from
//! it.

use std::time::Duration;

use distlock_core::{Guard, Mode, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bare::token;
use crate::case::{Case, Need};
use crate::context::{Context, within};
use crate::failure::Outcome;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_dead_holder_is_taken_over_after_its_ttl_and_not_before),
        Case::of(a_dead_holder_does_not_stop_a_try_after_its_ttl),
        Case::of(a_dead_reader_lets_the_writer_in).needs([Need::Shared]),
        Case::of(a_dead_holder_s_permit_comes_back).needs([Need::Permits]),
        Case::of(a_dead_waiter_delays_nobody_past_its_ttl),
        Case::of(a_hand_over_to_a_dead_waiter_does_not_restart_its_ttl),
        Case::of(a_short_ttl_ahead_of_a_long_one_ends_in_its_own_time),
        Case::of(a_dead_writer_in_line_keeps_out_no_reader_past_its_ttl)
            .needs([Need::Fair, Need::Shared]),
        Case::of(a_claim_that_asks_again_lives_on).long(),
        Case::of(a_killed_process_is_taken_over).needs([Need::Processes]),
        Case::of(a_stopped_process_is_taken_over_and_sees_its_loss).needs([Need::Processes]),
    ]
}

/// How much of a TTL has passed at the least when the store ends it, as measured here: clocks of
/// two machines do not run quite equally fast.
fn at_least(ttl: Duration) -> Duration {
    ttl.mul_f64(0.99)
}

/// Both bounds: a holder that has fallen silent is safe for its TTL, and gone soon after.
async fn a_dead_holder_is_taken_over_after_its_ttl_and_not_before(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    let hold = dead.hold().await?;
    let guard = within(
        cx.gone_by(cx.ttl()),
        "the lock of a dead holder",
        locks.lock(&name).acquire(),
    )
    .await??;
    let taken = Moment::now();
    assert!(
        taken.since(hold.as_of) >= at_least(hold.ttl),
        "taken over {:?} into a TTL of {:?}",
        taken.since(hold.as_of),
        hold.ttl
    );
    assert!(guard.token() > token(hold)?);
    Ok(())
}

/// A dead holder's time runs out with nobody there to see it, and the next who comes finds the lock
/// free.
async fn a_dead_holder_does_not_stop_a_try_after_its_ttl(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    dead.hold().await?;
    assert!(
        locks.lock(&name).try_acquire().await?.is_none(),
        "a try within the TTL of the holder"
    );
    sleep(cx.gone_by(cx.ttl())).await;
    assert!(
        cx.state(&name).await?.is_free(),
        "a dead holder is shown after its TTL"
    );
    assert!(
        locks.lock(&name).try_acquire().await?.is_some(),
        "a try after the TTL of the holder"
    );
    Ok(())
}

/// A reader that dies keeps the writer out for its TTL and no longer, beside a reader that lives.
async fn a_dead_reader_lets_the_writer_in(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Shared, cx.ttl()).await?;
    let hold = dead.hold().await?;
    let alive = one.rw_lock(&name).read().await?;
    let writing = tokio::spawn(two.rw_lock(&name).write());
    cx.until_waiting(&name, 1).await?;
    alive.release().await?;
    let writer = within(cx.gone_by(cx.ttl()), "the name of a dead reader", writing).await???;
    assert!(
        hold.as_of.elapsed() >= at_least(hold.ttl),
        "a writer within the TTL of a reader"
    );
    drop(writer);
    Ok(())
}

/// A permit whose holder died can be had again, whichever of the holders that is.
async fn a_dead_holder_s_permit_comes_back(cx: Context) -> Outcome {
    const LIMIT: u32 = 3;
    let locks = cx.client().await?;
    let mut running = JoinSet::new();
    for place in 0..LIMIT {
        let (cx, name) = (cx.clone(), cx.name());
        let semaphore = locks.semaphore(&name, LIMIT);
        running.spawn(async move {
            let mut alive = Vec::new();
            for _ in 0..place {
                alive.push(semaphore.acquire().await?);
            }
            let mode = Mode::Permit { limit: LIMIT };
            let dead = cx.bare(&name, mode, 2 * cx.ttl()).await?;
            let hold = dead.hold().await?;
            for _ in place + 1..LIMIT {
                alive.push(semaphore.acquire().await?);
            }
            assert!(
                semaphore.try_acquire().await?.is_none(),
                "one more than {LIMIT} permits"
            );
            let permit = within(
                cx.gone_by(hold.ttl),
                "the permit of a dead holder",
                semaphore.acquire(),
            )
            .await??;
            assert!(
                hold.as_of.elapsed() >= at_least(hold.ttl),
                "the permit within the TTL of its holder"
            );
            assert!(alive.iter().all(Guard::is_held) && permit.is_held());
            Outcome::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// A waiter that died in the line delays those behind it for what is left of its TTL at most.
async fn a_dead_waiter_delays_nobody_past_its_ttl(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let dead = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    let died = Moment::now();
    dead.wait().await?;
    let waiting = tokio::spawn(two.lock(&name).acquire());
    cx.until(&name, "a waiter", |state| !state.waiters.is_empty())
        .await?;
    sleep(cx.ttl() / 2).await;
    holder.release().await?;
    let limit = cx.gone_by(cx.ttl()).saturating_sub(died.elapsed());
    let guard = within(limit, "the lock past a dead waiter", waiting).await???;
    assert!(guard.is_held());
    Ok(())
}

/// Being granted is not being heard from: a waiter that died has the rest of its TTL as holder, and
/// not a fresh one.
async fn a_hand_over_to_a_dead_waiter_does_not_restart_its_ttl(cx: Context) -> Outcome {
    let ttl = 6 * cx.ttl();
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let dead = cx.bare(&name, Mode::Exclusive, ttl).await?;
    let died = Moment::now();
    dead.wait().await?;
    let waiting = tokio::spawn(two.lock(&name).acquire());
    sleep(ttl.mul_f64(0.9).saturating_sub(died.elapsed())).await;
    holder.release().await?;
    let limit = cx.gone_by(ttl).saturating_sub(died.elapsed());
    assert!(
        died.elapsed() + ttl > cx.gone_by(ttl),
        "a TTL long enough to tell the two apart"
    );
    within(
        limit,
        "the lock past a dead waiter that was granted it",
        waiting,
    )
    .await???
    .release()
    .await?;
    Ok(())
}

/// Behind a short TTL ahead of it, a waiter of a long one looks in time: not only when the holder
/// that it saw when it came would have expired, nor when its own place needs refreshing.
async fn a_short_ttl_ahead_of_a_long_one_ends_in_its_own_time(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let dead = cx.bare(&name, Mode::Exclusive, 2 * cx.ttl()).await?;
    let died = Moment::now();
    dead.wait().await?;
    let waiting = tokio::spawn(two.lock(&name).acquire());
    cx.until(&name, "two waiters", |state| state.waiters.len() == 2)
        .await?;
    holder.release().await?;
    let limit = cx.gone_by(2 * cx.ttl()).saturating_sub(died.elapsed());
    let guard: Guard =
        within(limit, "the lock past a dead holder of a short TTL", waiting).await???;
    assert!(guard.is_held());
    Ok(())
}

/// A writer that died in the line between readers: those behind it need not wait for its turn.
async fn a_dead_writer_in_line_keeps_out_no_reader_past_its_ttl(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let name = cx.name();
    let _reader = one.rw_lock(&name).read().await?;
    let dead = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
    let died = Moment::now();
    dead.wait().await?;
    let limit = cx.gone_by(cx.ttl()).saturating_sub(died.elapsed());
    let reading = other.rw_lock(&name).read();
    within(
        limit,
        "the lock beside a reader, past a dead writer",
        reading,
    )
    .await??
    .release()
    .await?;
    Ok(())
}

/// Each attempt refreshes the entry: a claim that asks now and then stays, many TTLs long.
async fn a_claim_that_asks_again_lives_on(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let locks = cx.client().await?;
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, ttl).await?;
    let first = claim.hold().await?;
    for _ in 0..6 {
        sleep(ttl / 3).await;
        let hold = claim.hold().await?;
        assert_eq!(
            hold.number, first.number,
            "a claim that was heard from within its TTL is still the holder"
        );
    }
    assert!(locks.lock(&name).try_acquire().await?.is_none());
    let hold = claim.hold().await?;
    let guard = within(
        cx.gone_by(ttl),
        "the lock after the last attempt",
        locks.lock(&name).acquire(),
    )
    .await??;
    assert!(
        hold.as_of.elapsed() >= at_least(hold.ttl),
        "taken over within a TTL of the last attempt"
    );
    drop(guard);
    Ok(())
}

/// SIGKILL: no goodbye, and its lock comes free all the same.
async fn a_killed_process_is_taken_over(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let locks = cx.client().await?;
    let name = cx.name();
    let mut child = cx.child(&name, ttl)?;
    let before = child.token().await?;
    assert!(
        locks.lock(&name).try_acquire().await?.is_none(),
        "the lock of a living process"
    );
    let waiting = tokio::spawn(locks.lock(&name).acquire());
    cx.until_waiting(&name, 1).await?;
    child.kill().await?;
    let guard = within(cx.gone_by(ttl), "the lock of a killed process", waiting).await???;
    assert!(guard.token().get() > before, "the token after a kill");
    Ok(())
}

/// SIGSTOP past the TTL: the lock is taken over, and the first thing the process sees when it goes
/// on is that it has lost it.
async fn a_stopped_process_is_taken_over_and_sees_its_loss(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let locks = cx.client().await?;
    let name = cx.name();
    let mut child = cx.child(&name, ttl)?;
    let before = child.token().await?;
    child.look().await?;
    assert!(
        child.seen().await?,
        "the process holds what it has just acquired"
    );
    child.stop()?;
    let guard = within(
        cx.gone_by(ttl),
        "the lock of a stopped process",
        locks.lock(&name).acquire(),
    )
    .await??;
    assert!(guard.token().get() > before, "the token after a stop");
    // The question is there before the process can do anything else.
    child.look().await?;
    child.resume()?;
    assert!(
        !child.seen().await?,
        "a process that was stopped for longer than its TTL believes it holds the lock"
    );
    assert!(
        guard.is_held(),
        "the successor is not disturbed by the one that came back"
    );
    cx.only_holder(&name, guard.token()).await?;
    Ok(())
}
