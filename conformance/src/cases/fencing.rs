//! P2: every grant carries a token greater than every token granted before for that name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use distlock_core::backend::Attempt;
use distlock_core::{FencingToken, Locks, Mode, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bare::token;
use crate::case::{Case, Need};
use crate::context::{Context, soon, within};
use crate::failure::Outcome;
use crate::faults::{WakeUps, Which};
use crate::polling::poll_once;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(tokens_grow_across_release),
        Case::of(tokens_grow_across_clients_that_come_and_go),
        Case::of(tokens_grow_across_expiry),
        Case::of(tokens_grow_across_a_hand_over),
        Case::of(tokens_grow_across_tries),
        Case::of(tokens_grow_across_processes).needs([Need::Processes]),
        Case::of(readers_have_tokens_of_their_own).needs([Need::Shared]),
        Case::of(permits_have_tokens_of_their_own).needs([Need::Permits]),
        Case::of(tokens_grow_across_modes).needs([Need::Shared, Need::Permits]),
        Case::of(a_place_that_passes_on_brings_no_older_token).needs([Need::Fair, Need::Permits]),
        Case::of(order_of_tokens_is_order_of_grants),
        Case::of(asking_again_gives_the_same_number),
        Case::of(renewal_keeps_the_token),
        Case::of(a_token_fits_an_i64_and_leaves_its_low_bits_free),
    ]
}

/// Fails unless each token is greater than the one before.
fn assert_growing(tokens: &[FencingToken]) {
    assert!(
        tokens.is_sorted_by(|earlier, later| earlier < later),
        "tokens in the order of their grants: {tokens:?}"
    );
}

/// One client, again and again, released both ways.
async fn tokens_grow_across_release(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let lock = locks.lock(cx.name());
    let mut tokens = Vec::new();
    for round in 0..20 {
        let guard = soon("a free lock", lock.acquire()).await??;
        tokens.push(guard.token());
        if round % 2 == 0 {
            guard.release().await?;
        }
    }
    assert_growing(&tokens);
    Ok(())
}

/// A new client each time, after the one before has gone: the number is the store's, not the
/// client's.
async fn tokens_grow_across_clients_that_come_and_go(cx: Context) -> Outcome {
    let name = cx.name();
    let mut tokens = Vec::new();
    for _ in 0..5 {
        let locks = cx.client().await?;
        let guard = locks.lock(&name).acquire().await?;
        tokens.push(guard.token());
        guard.release().await?;
    }
    assert_growing(&tokens);
    Ok(())
}

/// The holder dies; its successor's token is greater.
async fn tokens_grow_across_expiry(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let dead = cx.bare(&name, Mode::Exclusive, cx.ttl()).await?;
        tokens.push(token(dead.hold().await?)?);
        let guard = within(
            cx.gone_by(cx.ttl()),
            "the lock of a dead holder",
            locks.lock(&name).acquire(),
        )
        .await??;
        tokens.push(guard.token());
        guard.release().await?;
    }
    assert_growing(&tokens);
    Ok(())
}

/// The name passes from waiter to waiter and is never free.
async fn tokens_grow_across_a_hand_over(cx: Context) -> Outcome {
    let clients: [Locks; 3] = cx.clients().await?;
    let name = cx.name();
    let mut guard = clients[0].lock(&name).acquire().await?;
    let mut tokens = vec![guard.token()];
    for next in 1..9 {
        let waiting = tokio::spawn(clients[next % 3].lock(&name).acquire());
        cx.until_waiting(&name, 1).await?;
        drop(guard);
        guard = soon("the lock by hand-over", waiting).await???;
        tokens.push(guard.token());
    }
    assert_growing(&tokens);
    Ok(())
}

/// Grants to those who would not wait count as any other.
async fn tokens_grow_across_tries(cx: Context) -> Outcome {
    let clients: [Locks; 2] = cx.clients().await?;
    let name = cx.name();
    let mut tokens = Vec::new();
    for round in 0..10 {
        let guard = clients[round % 2]
            .lock(&name)
            .try_acquire()
            .await?
            .expect("a free lock can be had");
        tokens.push(guard.token());
        guard.release().await?;
    }
    assert_growing(&tokens);
    Ok(())
}

/// This process, another, and this one again.
async fn tokens_grow_across_processes(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let guard = locks.lock(&name).acquire().await?;
        tokens.push(guard.token().get());
        guard.release().await?;
        let mut child = cx.child(&name, cx.calm())?;
        tokens.push(child.token().await?);
        child.release().await?;
    }
    assert!(
        tokens.is_sorted_by(|earlier, later| earlier < later),
        "tokens of two processes by turns: {tokens:?}"
    );
    Ok(())
}

/// Each reader is a grant, with a token; a writer's is greater than that of every reader before it.
async fn readers_have_tokens_of_their_own(cx: Context) -> Outcome {
    let clients: [Locks; 3] = cx.clients().await?;
    let name = cx.name();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let mut readers = Vec::new();
        for client in &clients {
            let reader = client.rw_lock(&name).read().await?;
            tokens.push(reader.token());
            readers.push(reader);
        }
        for reader in readers {
            reader.release().await?;
        }
        let writer = clients[0].rw_lock(&name).write().await?;
        tokens.push(writer.token());
        writer.release().await?;
    }
    assert_growing(&tokens);
    Ok(())
}

/// Each permit is a grant, with a token.
async fn permits_have_tokens_of_their_own(cx: Context) -> Outcome {
    let clients: [Locks; 2] = cx.clients().await?;
    let name = cx.name();
    let (mut tokens, mut permits) = (Vec::new(), Vec::new());
    for round in 0..8 {
        if permits.len() == 3 {
            let oldest: distlock_core::Guard = permits.remove(0);
            oldest.release().await?;
        }
        let permit = clients[round % 2].semaphore(&name, 3).acquire().await?;
        tokens.push(permit.token());
        permits.push(permit);
    }
    assert_growing(&tokens);
    Ok(())
}

/// A permit that was granted to one that did not hear of it, and has gone since, is not for one
/// that came after others had been granted theirs.
async fn a_place_that_passes_on_brings_no_older_token(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let (deaf, faults) = cx.faulty().await?;
    let name = cx.name();
    let first = one.semaphore(&name, 2).acquire().await?;
    let second = one.semaphore(&name, 2).acquire().await?;
    faults.wake_ups(WakeUps::Lost(Which::All));
    let mut granted = deaf.semaphore(&name, 2).acquire();
    assert!(poll_once(&mut granted).await.is_pending());
    cx.until_waiting(&name, 1).await?;
    first.release().await?;
    cx.until(&name, "the deaf one granted", |state| {
        state.holders.len() == 2 && state.waiters.is_empty()
    })
    .await?;
    second.release().await?;
    let later = other.semaphore(&name, 2).acquire().await?;
    let seen = later.token();
    later.release().await?;

    let latest = tokio::spawn(deaf.semaphore(&name, 2).acquire());
    sleep(Duration::from_millis(20)).await;
    drop(granted);
    let latest = soon("a free permit", latest).await???;
    assert_growing(&[seen, latest.token()]);
    latest.release().await?;
    Ok(())
}

/// A name that is used in one way and then in another goes on counting.
async fn tokens_grow_across_modes(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        for acquire in [
            locks.lock(&name).acquire(),
            locks.rw_lock(&name).read(),
            locks.semaphore(&name, 2).acquire(),
        ] {
            let guard = acquire.await?;
            tokens.push(guard.token());
            guard.release().await?;
        }
    }
    assert_growing(&tokens);
    Ok(())
}

/// Under contention, sorted by token, each hold begins after the one before it has ended.
async fn order_of_tokens_is_order_of_grants(cx: Context) -> Outcome {
    let clients: [Locks; 4] = cx.rivals().await?;
    let name = cx.name();
    let holds = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for locks in clients.iter().cycle().take(8) {
        let (lock, holds) = (locks.lock(&name), Arc::clone(&holds));
        tasks.spawn(async move {
            for _ in 0..10 {
                let guard = lock.acquire().await?;
                let from = Moment::now();
                sleep(Duration::from_micros(fastrand::u64(0..300))).await;
                let (token, until) = (guard.token(), Moment::now());
                holds
                    .lock()
                    .expect("no task panics")
                    .push((token, from, until));
                guard.release().await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let mut holds = std::mem::take(&mut *holds.lock().expect("no task panics"));
    holds.sort_by_key(|(token, ..)| *token);
    for pair in holds.windows(2) {
        let [(earlier, _, until), (later, from, _)] = pair else {
            unreachable!("windows of two")
        };
        assert!(earlier < later, "token {later} twice");
        assert!(
            until <= from,
            "the hold of token {later} began before that of token {earlier} had ended"
        );
    }
    Ok(())
}

/// A holder that asks again is told of the grant that it has; it is not granted the name anew.
async fn asking_again_gives_the_same_number(cx: Context) -> Outcome {
    let claim = cx.bare(&cx.name(), Mode::Exclusive, cx.calm()).await?;
    let first = claim.hold().await?;
    for _ in 0..3 {
        assert_eq!(
            claim.hold().await?.number,
            first.number,
            "the number of one grant"
        );
        let Attempt::Held(again) = claim.attempt_once().await? else {
            panic!("a holder that asks once more holds")
        };
        assert_eq!(
            again.number, first.number,
            "the number of one grant, asked for without waiting"
        );
    }
    Ok(())
}

/// A hold that has been renewed is still the same grant.
async fn renewal_keeps_the_token(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = locks.lock(&name).ttl(cx.steady()).acquire().await?;
    let token = guard.token();
    soon("three renewals", faults.seen(crate::faults::Verb::Renew, 3)).await?;
    cx.only_holder(&name, token).await?;
    assert_eq!(guard.token(), token);
    Ok(())
}

/// A token fits the integers of databases, and its low bits are not the store's.
async fn a_token_fits_an_i64_and_leaves_its_low_bits_free(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let guard = locks.lock(cx.name()).acquire().await?;
    let token = guard.token();
    assert!(token.as_i64() > 0, "token {token} as an i64");
    assert_eq!(
        token.get(),
        token.number() << FencingToken::LOCAL_BITS,
        "token {token} and its number"
    );
    let claim = cx.bare(&cx.name(), Mode::Exclusive, cx.calm()).await?;
    let hold = claim.hold().await?;
    assert!(
        (1..=FencingToken::MAX_NUMBER).contains(&hold.number),
        "number {}",
        hold.number
    );
    Ok(())
}
