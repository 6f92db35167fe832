//! `settle` waits for what was let go of before it was called, and for nothing else.

use std::sync::mpsc;
use std::time::Duration;

use distlock_core::{ErrorKind, Loss};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::case::Case;
use crate::context::{Context, refused, soon};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};
use crate::polling::poll_once;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(settle_waits_for_what_was_dropped),
        Case::of(settle_waits_for_what_was_lost),
        Case::of(settle_waits_for_what_has_not_begun),
        Case::of(settle_waits_for_what_timed_out_or_failed),
        Case::of(settle_waits_for_nothing_newer),
    ]
}

/// After `drop` and `settle`, the store shows nothing any more: at once, not soon.
async fn settle_waits_for_what_was_dropped(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    faults.add(
        Verb::Release,
        Which::All,
        Fault::DelayRequest(Duration::from_millis(30)),
    );
    let names: Vec<_> = (0..20).map(|_| cx.name()).collect();
    for (number, name) in names.iter().enumerate() {
        let guard = locks.lock(name).acquire().await?;
        if number % 2 == 0 {
            drop(guard);
        } else {
            drop(guard.release());
        }
    }
    soon("all releases", locks.settle()).await?;
    for name in &names {
        assert!(
            cx.state(name).await?.is_free(),
            "something is left after `settle`"
        );
    }
    Ok(())
}

/// A hold that has ended without its user is given back as well, and is no other holder to a try.
async fn settle_waits_for_what_was_lost(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let late = Fault::DelayRequest(Duration::from_millis(300));
    for loss in [Loss::MaxHold, Loss::Revoked] {
        let name = cx.name();
        let lock = match loss {
            Loss::MaxHold => locks.lock(&name).max_hold(Duration::from_millis(20)),
            _ => locks.lock(&name),
        };
        let lose = async || {
            let guard = lock.acquire().await?;
            faults.add(Verb::Release, Which::Nth(1), late);
            if loss == Loss::Revoked {
                faults.tell_gone();
            }
            assert_eq!(soon("the loss", guard.lost()).await?, loss);
            Outcome::Ok(())
        };
        lose().await?;
        soon("the release", locks.settle()).await?;
        let state = cx.state(&name).await?;
        assert!(state.is_free(), "left after {loss:?}: {state:?}");
        lose().await?;
        let next = soon("an answer", locks.lock(&name).try_acquire()).await??;
        assert!(next.is_some(), "busy after {loss:?}");
    }
    Ok(())
}

/// The runtime that drives the locks is blocked, so that nothing has been asked of the store yet.
async fn settle_waits_for_what_has_not_begun(cx: Context) -> Outcome {
    let names = [cx.name(), cx.name()];
    let [dropped, released] = names.clone();
    let (tell, told) = oneshot::channel();
    let (unblock, blocked) = mpsc::channel::<()>();
    let (end, ended) = oneshot::channel::<()>();
    let driving = cx.elsewhere(|cx| async move {
        let locks = cx.client().await?;
        let guards = [
            locks.lock(dropped).acquire().await?,
            locks.lock(released).acquire().await?,
        ];
        drop(tell.send((locks, guards)));
        let _ = blocked.recv();
        let _ = ended.await;
        Outcome::Ok(())
    });
    let settling = async {
        let (locks, [dropped, released]) = told.await?;
        drop(dropped);
        drop(released.release());
        let mut settling = Box::pin(locks.settle());
        assert!(
            poll_once(&mut settling).await.is_pending(),
            "nothing to settle"
        );
        drop(unblock);
        soon("the releases", settling).await?;
        for name in &names {
            let state = cx.state(name).await?;
            assert!(state.is_free(), "left after `settle`: {state:?}");
        }
        drop(end);
        Outcome::Ok(())
    };
    let (driven, settled) = tokio::join!(driving, settling);
    driven.and(settled)
}

/// A grant whose answer comes after the time limit, or never and then an error, is given back. In
/// tasks: whoever learns of it may go on before anybody else of its runtime does.
async fn settle_waits_for_what_timed_out_or_failed(cx: Context) -> Outcome {
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        tasks.spawn(settle_what_timed_out_or_failed(cx.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn settle_what_timed_out_or_failed(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let (limit, late) = (Duration::from_millis(50), Duration::from_millis(500));
    let fatal = ErrorKind::Unexpected;
    for (first, limit, kind) in [
        (Fault::DelayReply(late), limit, ErrorKind::TimedOut),
        (Fault::LoseReply, Duration::MAX, fatal),
    ] {
        let name = cx.name();
        faults.add(Verb::Attempt, Which::Nth(1), first);
        faults.add(Verb::Attempt, Which::Nth(2), Fault::Fail(fatal));
        faults.add(Verb::Release, Which::Nth(1), Fault::DelayRequest(late));
        let acquiring = locks.lock(&name).acquire_within(limit);
        refused(kind, soon("an answer", acquiring).await?)?;
        soon("the end of it", locks.settle()).await?;
        assert!(
            cx.state(&name).await?.is_free(),
            "something is left after `settle`, of what ended as {kind:?}"
        );
        faults.heal();
    }
    Ok(())
}

/// What is dropped after the call is not waited for; and of several that settle, all are told.
async fn settle_waits_for_nothing_newer(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let (older, newer) = (cx.name(), cx.name());
    let [first, second] = [
        locks.lock(&older).acquire().await?,
        locks.lock(&newer).acquire().await?,
    ];
    let delay = Duration::from_millis(300);
    faults.add(Verb::Release, Which::Nth(1), Fault::DelayRequest(delay));
    drop(first);
    soon("a release", faults.seen(Verb::Release, 1)).await?;
    let mut settling = [(); 3].map(|()| Box::pin(locks.settle()));
    for settle in &mut settling {
        assert!(poll_once(settle).await.is_pending(), "nothing to settle");
    }
    faults.add(Verb::Release, Which::All, Fault::LoseRequest);
    drop(second);
    for settle in settling {
        soon("the end of what was dropped before", settle).await?;
    }
    assert!(cx.state(&older).await?.is_free());
    faults.heal();
    soon("the end of the rest", locks.settle()).await?;
    assert!(cx.state(&newer).await?.is_free());
    Ok(())
}
