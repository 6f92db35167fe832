//! `run` releases the lock however its work ends.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::case::Case;
use crate::context::{ALLOWANCE, Context, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};
use crate::polling::drop_after_polls;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_run_releases_when_its_work_is_done),
        Case::of(a_run_whose_release_is_not_confirmed_gives_its_output),
        Case::of(a_run_releases_when_its_work_panics),
        Case::of(a_run_releases_when_it_is_dropped),
    ]
}

/// `run` gives the output of the work, shows it the token, and has released the lock when it
/// returns.
async fn a_run_releases_when_its_work_is_done(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let store = cx.clone();
    let of_name = name.clone();
    let (token, seen) = locks
        .lock(&name)
        .run(async move |token| (token, store.state(&of_name).await))
        .await?;
    let seen = seen?;
    assert_eq!(
        seen.holders.len(),
        1,
        "the lock is held while the work runs: {seen:?}"
    );
    assert!(
        seen.holders[0].token.is_none_or(|shown| shown == token),
        "the token that the work is given"
    );
    assert!(
        cx.state(&name).await?.is_free(),
        "held after `run` has returned"
    );
    Ok(())
}

/// The work was done under the lock; that the store does not confirm the release takes nothing from
/// that.
async fn a_run_whose_release_is_not_confirmed_gives_its_output(cx: Context) -> Outcome {
    let ttl = 2 * cx.ttl();
    let (locks, faults) = cx.faulty().await?;
    faults.add(Verb::Release, Which::All, Fault::LoseRequest);
    let lock = locks.lock(cx.name()).ttl(ttl);
    let output = within(2 * ttl + ALLOWANCE, "an answer", lock.run(async |_| 42)).await?;
    assert_eq!(output?, 42, "of work that was done under the lock");
    faults.heal();
    Ok(())
}

/// The work panics; the panic goes on to the caller, and the lock is released.
async fn a_run_releases_when_its_work_panics(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let lock = locks.lock(&name);
    let work = async move |_| -> () { panic!("on purpose, in the work") };
    let task = tokio::spawn(async move { lock.run(work).await });
    assert!(task.await.is_err_and(|error| error.is_panic()));
    cx.until_free(&name).await?;
    Ok(())
}

/// Dropping the future of `run` ends the work and releases the lock, at any point.
async fn a_run_releases_when_it_is_dropped(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let lock = locks.lock(&name);
    for polls in 0..12 {
        let (running, runs) = oneshot::channel::<()>();
        let work = async move |_| {
            let _running = running;
            std::future::pending::<()>().await;
        };
        let outcome =
            drop_after_polls(polls, Duration::from_micros(200), Box::pin(lock.run(work))).await;
        assert!(outcome.is_none(), "work that never ends has ended");
        assert!(soon("the end of the work", runs).await?.is_err());
        soon("the release", locks.settle()).await?;
        cx.until_free(&name).await?;
    }
    Ok(())
}
