//! What those who stay in line notice of one who gives up.

use std::time::Duration;

use distlock_core::Locks;
use tokio::time::{interval, sleep};

use crate::case::{Case, Need};
use crate::context::{Context, soon};
use crate::failure::Outcome;
use crate::polling::poll_once;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_select_loop_keeps_the_place).needs([Need::Fair]),
        Case::of(a_neighbour_inherits_the_place).needs([Need::Fair, Need::StandsInLine]),
        Case::of(a_neighbour_inherits_no_more_than_the_place),
        Case::of(a_waiter_that_gives_up_in_the_middle_holds_up_nobody),
    ]
}

/// `select!` in a loop over `&mut acquire`: between the ticks the place in line stays.
async fn a_select_loop_keeps_the_place(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    let name = cx.name();
    let holder = one.lock(&name).acquire().await?;
    let mut first = two.lock(&name).acquire();
    let mut tick = interval(Duration::from_millis(5));
    for _ in 0..10 {
        tokio::select! {
            _ = &mut first => panic!("granted beside a holder"),
            _ = tick.tick() => {}
        }
    }
    cx.until_waiting(&name, 1).await?;
    let second = tokio::spawn(three.lock(&name).acquire());
    cx.until_waiting(&name, 2).await?;
    for _ in 0..10 {
        tokio::select! {
            _ = &mut first => panic!("granted beside a holder"),
            _ = tick.tick() => {}
        }
    }
    holder.release().await?;
    let guard = soon("the lock for the first in line", first).await??;
    assert!(
        !second.is_finished(),
        "the second in line was granted beside the first"
    );
    guard.release().await?;
    soon("the lock for the second in line", second)
        .await???
        .release()
        .await?;
    Ok(())
}

/// Of those who wait in one client, the one in the store's line gives up: the next has its place,
/// before those of other clients that came in between, whoever has given up between the two.
async fn a_neighbour_inherits_the_place(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    for between in 0..3 {
        let name = cx.name();
        let holder = one.lock(&name).acquire().await?;
        let mut giving_up = Vec::new();
        for _ in 0..=between {
            giving_up.push(two.lock(&name).acquire());
            assert!(poll_once(giving_up.last_mut().unwrap()).await.is_pending());
            cx.until_waiting(&name, 1).await?;
        }
        let mut neighbour = two.lock(&name).acquire();
        assert!(poll_once(&mut neighbour).await.is_pending());
        sleep(Duration::from_millis(20)).await;
        let other = tokio::spawn(three.lock(&name).acquire());
        cx.until_waiting(&name, 2).await?;
        while let Some(gives_up) = giving_up.pop() {
            drop(gives_up);
        }
        sleep(Duration::from_millis(20)).await;
        cx.until_waiting(&name, 2).await?;
        holder.release().await?;
        let guard = soon("the lock for the neighbour", neighbour).await??;
        assert!(
            !other.is_finished(),
            "another client was granted beside the neighbour"
        );
        guard.release().await?;
        soon("the lock for the other client", other)
            .await???
            .release()
            .await?;
    }
    Ok(())
}

/// What the one that gave up had asked for besides is not what its neighbour gets.
async fn a_neighbour_inherits_no_more_than_the_place(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    let limit = cx.ttl() / 3;
    let lock = two.lock(&name).label("its own");
    for other in [
        lock.clone().max_hold(limit),
        lock.clone().ttl(cx.steady()),
        lock.clone().label("another's"),
    ] {
        let holder = one.lock(&name).acquire().await?;
        let mut gives_up = other.acquire();
        assert!(poll_once(&mut gives_up).await.is_pending());
        cx.until_waiting(&name, 1).await?;
        let mut neighbour = lock.acquire();
        assert!(poll_once(&mut neighbour).await.is_pending());
        sleep(Duration::from_millis(20)).await;
        drop(gives_up);
        holder.release().await?;
        let guard = soon("the lock for the neighbour", neighbour).await??;
        let state = cx.state(&name).await?;
        let mut labels = state
            .holders
            .iter()
            .filter_map(|holder| holder.label.as_deref());
        assert!(
            labels.all(|label| label == "its own"),
            "a hold under the label of another: {state:?}"
        );
        sleep(2 * limit).await;
        assert!(
            guard.is_held() && guard.valid_for() > cx.steady(),
            "a hold ends by the limit, or the TTL, of another: {guard:?}"
        );
        guard.release().await?;
    }
    Ok(())
}

/// The middle one of five goes; those behind move up.
async fn a_waiter_that_gives_up_in_the_middle_holds_up_nobody(cx: Context) -> Outcome {
    let clients: [Locks; 5] = cx.clients().await?;
    let holder = cx.client().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let mut waiting = Vec::new();
    for (ahead, client) in clients.iter().enumerate() {
        waiting.push(tokio::spawn(client.lock(&name).acquire()));
        cx.until_waiting(&name, ahead + 1).await?;
    }
    waiting.remove(2).abort();
    cx.until_waiting(&name, 4).await?;
    guard.release().await?;
    for granted in waiting {
        soon("the lock past one who gave up", granted)
            .await???
            .release()
            .await?;
    }
    cx.until_free(&name).await?;
    Ok(())
}
