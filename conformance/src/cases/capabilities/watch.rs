//! A watch tells who holds a name and who waits for it, and every change of that which lasts.

use std::time::Duration;

use distlock_core::Mode;
use tokio::time::sleep;

use crate::case::Case;
use crate::context::{Context, soon, within};
use crate::failure::Outcome;
use crate::faults::{Fault, Verb, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_watch_tells_every_change_that_lasts),
        Case::of(a_watch_tells_a_hold_by_its_token),
        Case::of(a_watch_tells_what_overtakes_its_first_look),
        Case::of(a_watch_tells_an_expiry),
        Case::of(a_watch_that_was_dropped_asks_no_more),
    ]
}

/// Each state that lasts is told: free, held, waited for, passed on, free.
async fn a_watch_tells_every_change_that_lasts(cx: Context) -> Outcome {
    let [one, two, observer] = cx.clients().await?;
    let name = cx.name();
    let mut watch = observer.watch(&name);
    let mut told = async |holders: usize, waiters: usize| {
        let what = format!("word of {holders} holders and {waiters} waiters");
        let until = async {
            loop {
                let state = watch.next().await?;
                if (state.holders.len(), state.waiters.len()) == (holders, waiters) {
                    return Ok::<_, distlock_core::Error>(state);
                }
            }
        };
        soon(&what, until).await
    };
    told(0, 0).await??;
    let guard = one.lock(&name).acquire().await?;
    let first = told(1, 0).await??;
    let waiting = tokio::spawn(two.lock(&name).acquire());
    told(1, 1).await??;
    guard.release().await?;
    let guard = soon("the lock", waiting).await???;
    let second = told(1, 0).await??;
    if let (Some(before), Some(after)) = (first.holders[0].token, second.holders[0].token) {
        assert!(before < after, "the holder that is told of is the new one");
    }
    guard.release().await?;
    told(0, 0).await??;
    Ok(())
}

/// A hold that took the place of another between two looks is a change, though it is of the same
/// client, and differs in nothing but its token.
async fn a_watch_tells_a_hold_by_its_token(cx: Context) -> Outcome {
    let (observer, faults) = cx.faulty().await?;
    let holder = cx.client().await?;
    let lock = holder.lock(cx.name());
    let mut guard = lock.acquire().await?;
    let mut watch = observer.watch(guard.name().as_str());
    let state = soon("the state now", watch.next()).await??;
    // A store that cannot know is excused from the rest.
    if state.holders[0].token.is_none() {
        return Ok(());
    }
    // The store is asked so late that it shows the next hold.
    let late = Fault::DelayRequest(Duration::from_millis(300));
    faults.add(Verb::Inspect, Which::All, late);
    for _ in 0..3 {
        guard.release().await?;
        guard = lock.acquire().await?;
        let told = async {
            loop {
                let state = watch.next().await?;
                if state.holders.first().and_then(|holder| holder.token) == Some(guard.token()) {
                    return Outcome::Ok(());
                }
            }
        };
        soon("word of the next hold", told).await??;
    }
    Ok(())
}

/// What changes while the first answer is on its way is told after it.
async fn a_watch_tells_what_overtakes_its_first_look(cx: Context) -> Outcome {
    let (observer, faults) = cx.faulty().await?;
    let holder = cx.client().await?;
    let name = cx.name();
    let late = Fault::DelayReply(Duration::from_millis(300));
    faults.add(Verb::Inspect, Which::Nth(1), late);
    let mut watch = observer.watch(&name);
    let looking = tokio::spawn(async move { (watch.next().await, watch) });
    soon("a look", faults.seen(Verb::Inspect, 1)).await?;
    // Most likely the store has answered it by then.
    sleep(Duration::from_millis(50)).await;
    let _guard = holder.lock(&name).acquire().await?;
    let (state, mut watch) = soon("the state at first", looking).await??;
    let mut state = state?;
    if state.is_free() {
        state = soon("word of who came in between", watch.next()).await??;
    }
    assert_eq!(state.holders.len(), 1, "{state:?}");
    Ok(())
}

/// An expiry is a change that nobody makes, and is told as well.
async fn a_watch_tells_an_expiry(cx: Context) -> Outcome {
    let ttl = 2 * cx.ttl();
    let name = cx.name();
    // How often a watch looks by itself follows from the TTL of its locks.
    let observer = cx.builder().ttl(ttl).build(cx.backend().await?)?;
    let dead = cx.bare(&name, Mode::Exclusive, ttl).await?;
    dead.hold().await?;
    let mut watch = observer.watch(&name);
    assert_eq!(soon("the state now", watch.next()).await??.holders.len(), 1);
    let state = within(
        cx.gone_by(ttl) + ttl / 3,
        "word of the expiry",
        watch.next(),
    )
    .await??;
    assert!(state.is_free(), "{state:?}");
    Ok(())
}

/// Nobody looks, so the store is left alone, whatever happens to the name.
async fn a_watch_that_was_dropped_asks_no_more(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let mut watch = locks.watch(&name);
    soon("the state now", watch.next()).await??;
    drop(watch);
    let asked = faults.count(Verb::Inspect);
    for _ in 0..5 {
        locks.lock(&name).acquire().await?.release().await?;
        sleep(Duration::from_millis(300)).await;
    }
    assert!(
        faults.count(Verb::Inspect) <= asked + 1,
        "{} inspections after the watch was dropped",
        faults.count(Verb::Inspect) - asked
    );
    Ok(())
}
