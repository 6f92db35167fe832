//! P7: waiters are served in order, woken by push, and found by a look where a wake-up is lost.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use distlock_core::backend::Backend;
use distlock_core::{Locks, Moment};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{ALLOWANCE, Context, soon, within};
use crate::failure::{Failure, Outcome};
use crate::faults::{Fault, Verb, WakeUps, Which};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(clients_are_served_in_the_order_of_their_coming).needs([Need::Fair]),
        Case::of(neighbours_are_served_in_the_order_of_their_coming).needs([Need::Fair]),
        Case::of(a_reader_waits_behind_a_waiting_writer).needs([Need::Fair, Need::Shared]),
        Case::of(a_stream_of_readers_does_not_starve_a_writer).needs([Need::Fair, Need::Shared]),
        Case::of(readers_behind_a_writer_are_let_in_together).needs([Need::Shared]),
        Case::of(whichever_permit_is_freed_goes_to_the_first_waiter)
            .needs([Need::Fair, Need::Permits]),
        Case::of(a_release_wakes_the_next_at_once).needs([Need::Push]),
        Case::of(a_release_wakes_a_waiter_of_the_same_backend_at_once).needs([Need::Push]),
        Case::of(a_release_wakes_one_who_is_just_coming).needs([Need::Push]),
        Case::of(a_wake_up_that_overtakes_an_answer_is_heard)
            .needs([Need::Push, Need::StandsInLine]),
        Case::of(a_wake_up_that_is_lost_costs_a_recheck),
        Case::of(any_one_wake_up_that_is_lost_or_late_costs_a_recheck),
        Case::of(wake_ups_that_mean_nothing_do_no_harm).needs([Need::StandsInLine]),
        Case::of(a_waiter_does_not_ask_all_the_time),
        Case::of(a_waiter_outlasts_an_outage_of_the_store).needs([Need::StandsInLine]),
        Case::of(waiting_keeps_nothing_else_from_going_on),
        Case::of(everybody_in_the_line_is_served),
    ]
}

/// Five clients queue up one after the other and are served in that order.
async fn clients_are_served_in_the_order_of_their_coming(cx: Context) -> Outcome {
    let clients: [Locks; 5] = cx.clients().await?;
    let holder = cx.client().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (number, client) in clients.iter().enumerate() {
        let (acquire, served) = (client.lock(&name).acquire(), Arc::clone(&served));
        tasks.spawn(async move {
            let guard = acquire.await?;
            served.lock().expect("no task panics").push(number);
            guard.release().await
        });
        cx.until_waiting(&name, number + 1).await?;
    }
    guard.release().await?;
    for ended in soon("the lock for all who wait", tasks.join_all()).await? {
        ended?;
    }
    assert_eq!(
        *served.lock().expect("no task panics"),
        [0, 1, 2, 3, 4],
        "in the order of their coming"
    );
    Ok(())
}

/// So are the tasks of one client, which do not all stand in the store's line.
async fn neighbours_are_served_in_the_order_of_their_coming(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let lock = locks.lock(cx.name());
    let guard = lock.acquire().await?;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let mut acquire = lock.acquire();
        // The first poll is when it gets in line; the task that it starts must have run before the
        // next one's.
        assert!(crate::polling::poll_once(&mut acquire).await.is_pending());
        sleep(Duration::from_millis(20)).await;
        let served = Arc::clone(&served);
        tasks.spawn(async move {
            let guard = acquire.await?;
            served.lock().expect("no task panics").push(number);
            guard.release().await
        });
    }
    guard.release().await?;
    for ended in soon("the lock for all who wait", tasks.join_all()).await? {
        ended?;
    }
    assert_eq!(
        *served.lock().expect("no task panics"),
        [0, 1, 2, 3, 4, 5, 6, 7],
        "in the order of their coming"
    );
    Ok(())
}

/// No barging: a reader that comes after a waiting writer waits behind it, though readers hold the
/// name.
async fn a_reader_waits_behind_a_waiting_writer(cx: Context) -> Outcome {
    let [one, two, three] = cx.clients().await?;
    let name = cx.name();
    let reader = one.rw_lock(&name).read().await?;
    let writing = tokio::spawn(two.rw_lock(&name).write());
    cx.until_waiting(&name, 1).await?;
    for client in [&one, &three] {
        assert!(
            client.rw_lock(&name).try_read().await?.is_none(),
            "a reader before a writer that waits"
        );
    }
    let reading = tokio::spawn(three.rw_lock(&name).read());
    cx.until_waiting(&name, 2).await?;
    reader.release().await?;
    let writer = soon("the lock for the writer", writing).await???;
    assert!(!reading.is_finished(), "a reader beside a writer");
    writer.release().await?;
    soon("the lock for the reader", reading)
        .await???
        .release()
        .await?;
    Ok(())
}

/// Readers by turns, so that the name is never free: the writer gets in all the same.
async fn a_stream_of_readers_does_not_starve_a_writer(cx: Context) -> Outcome {
    let clients: [Locks; 4] = cx.rivals().await?;
    let name = cx.name();
    let mut readers = JoinSet::new();
    let first = clients[0].rw_lock(&name).read().await?;
    for client in &clients[..3] {
        let lock = client.rw_lock(&name);
        readers.spawn(async move {
            loop {
                let reader = lock.read().await?;
                sleep(Duration::from_millis(fastrand::u64(5..15))).await;
                reader.release().await?;
            }
            #[expect(unreachable_code, reason = "says what the loop's errors are")]
            Outcome::Ok(())
        });
    }
    let writing = tokio::spawn(clients[3].rw_lock(&name).write());
    first.release().await?;
    soon("the lock for a writer among readers", writing)
        .await???
        .release()
        .await?;
    Ok(())
}

/// When the writer goes, all readers behind it come in together: each of them holds before any has
/// left.
async fn readers_behind_a_writer_are_let_in_together(cx: Context) -> Outcome {
    let clients: [Locks; 3] = cx.clients().await?;
    let name = cx.name();
    let writer = clients[0].rw_lock(&name).write().await?;
    let reading: Vec<_> = clients
        .iter()
        .map(|client| tokio::spawn(client.rw_lock(&name).read()))
        .collect();
    cx.until_waiting(&name, reading.len()).await?;
    writer.release().await?;
    let mut readers = Vec::new();
    for reader in reading {
        readers.push(soon("the lock for a reader beside the others", reader).await???);
    }
    assert!(readers.iter().all(|reader| reader.is_held()));
    Ok(())
}

/// Two permits, two holders, one waiter: it makes no difference to the waiter which of them goes.
async fn whichever_permit_is_freed_goes_to_the_first_waiter(cx: Context) -> Outcome {
    for freed in [0, 1] {
        let clients: [Locks; 4] = cx.clients().await?;
        let name = cx.name();
        let mut holders = Vec::new();
        for client in &clients[..2] {
            holders.push(client.semaphore(&name, 2).acquire().await?);
        }
        let first = tokio::spawn(clients[2].semaphore(&name, 2).acquire());
        cx.until_waiting(&name, 1).await?;
        let second = tokio::spawn(clients[3].semaphore(&name, 2).acquire());
        cx.until_waiting(&name, 2).await?;
        holders.remove(freed).release().await?;
        let _permit = soon("the permit that was freed", first).await???;
        assert!(!second.is_finished(), "two permits for one that was freed");
        holders.remove(0).release().await?;
        soon("the other permit", second).await???.release().await?;
    }
    Ok(())
}

/// A store that declares push wakes a waiter when the lock is released, not at its next look.
async fn a_release_wakes_the_next_at_once(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    hand_over_at_once(&cx, [&one, &two]).await
}

/// Also if both are over one backend, so that the store hears of them by one client.
async fn a_release_wakes_a_waiter_of_the_same_backend_at_once(cx: Context) -> Outcome {
    let shared: Arc<dyn Backend> = Arc::from(cx.backend().await?);
    let one = cx.builder().build(Arc::clone(&shared))?;
    let two = cx.builder().build(shared)?;
    hand_over_at_once(&cx, [&one, &two]).await
}

async fn hand_over_at_once(cx: &Context, [one, two]: [&Locks; 2]) -> Outcome {
    let name = cx.name();
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let (from, to) = if round % 2 == 0 {
            (one, two)
        } else {
            (two, one)
        };
        let guard = from.lock(&name).acquire().await?;
        let waiting = tokio::spawn(to.lock(&name).acquire());
        cx.until_waiting(&name, 1).await?;
        let released = Moment::now();
        guard.release().await?;
        soon("the released lock", waiting)
            .await???
            .release()
            .await?;
        slowest = slowest.max(released.elapsed());
    }
    let look = cx.calm() / 3;
    assert!(
        slowest < look / 4,
        "handed over in {slowest:?}, when the next look was due in {look:?}"
    );
    Ok(())
}

/// Also one who joins the line at that moment: between its look and its listening, or the other way
/// round, nothing goes unheard.
async fn a_release_wakes_one_who_is_just_coming(cx: Context) -> Outcome {
    let [one, two] = cx.clients().await?;
    let name = cx.name();
    for _ in 0..300 {
        let guard = one.lock(&name).acquire().await?;
        let coming = tokio::spawn(two.lock(&name).acquire());
        for _ in 0..fastrand::u8(..16) {
            yield_now().await;
        }
        let released = tokio::spawn(guard.release());
        soon("the lock for one who was just coming", coming)
            .await???
            .release()
            .await?;
        released.await??;
    }
    Ok(())
}

/// The store has answered that the name is held, and tells that it is free before that answer has
/// come: whoever gets it does not wait for its next look.
async fn a_wake_up_that_overtakes_an_answer_is_heard(cx: Context) -> Outcome {
    let holder = cx.client().await?;
    let (waiter, faults) = cx.faulty().await?;
    let late = Duration::from_millis(500);
    faults.add(Verb::Attempt, Which::Nth(1), Fault::DelayReply(late));
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let waiting = tokio::spawn(waiter.lock(&name).acquire());
    cx.until_waiting(&name, 1).await?;
    guard.release().await?;
    soon(
        "the lock of which a waiter was told while its request was under way",
        waiting,
    )
    .await???
    .release()
    .await?;
    Ok(())
}

/// With every wake-up swallowed, a waiter finds the lock at its next look: a third of its TTL, at
/// most.
async fn a_wake_up_that_is_lost_costs_a_recheck(cx: Context) -> Outcome {
    let ttl = 5 * cx.ttl();
    let holder = cx.client().await?;
    let (deaf, faults) = cx.faulty().await?;
    faults.wake_ups(WakeUps::Lost(Which::All));
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let waiting = tokio::spawn(deaf.lock(&name).ttl(ttl).acquire());
    cx.until_waiting(&name, 1).await?;
    guard.release().await?;
    within(ttl / 3 + ALLOWANCE, "the lock, without a wake-up", waiting)
        .await???
        .release()
        .await?;
    Ok(())
}

/// So it does if it misses only one, whichever that is, or hears of it when that is no use any
/// more.
async fn any_one_wake_up_that_is_lost_or_late_costs_a_recheck(cx: Context) -> Outcome {
    let ttl = 5 * cx.ttl();
    let mut running = JoinSet::new();
    for number in (1..=6).map(Which::Nth) {
        for wake_ups in [
            WakeUps::Lost(number),
            WakeUps::Late(number, ttl / 60),
            WakeUps::Late(number, ttl),
        ] {
            let cx = cx.clone();
            running.spawn(async move {
                let holder = cx.client().await?;
                let (waiter, faults) = cx.faulty().await?;
                faults.wake_ups(wake_ups);
                let name = cx.name();
                let guard = holder.lock(&name).acquire().await?;
                let waiting = tokio::spawn(waiter.lock(&name).ttl(ttl).acquire());
                cx.until_waiting(&name, 1).await?;
                guard.release().await?;
                within(ttl / 3 + ALLOWANCE, "the lock, at the next look", waiting)
                    .await???
                    .release()
                    .await?;
                Ok::<_, Failure>(faults.woken())
            });
        }
    }
    let mut woken = 0;
    while let Some(ended) = running.join_next().await {
        woken += ended??;
    }
    // Who finds the name free when it begins to listen is not told of that, but so early are few.
    assert!(
        woken > 0 || !cx.capabilities().push,
        "a store that declares push has told nothing"
    );
    Ok(())
}

/// A waiter that is woken for nothing, all the time, asks again and goes on waiting, in its place.
async fn wake_ups_that_mean_nothing_do_no_harm(cx: Context) -> Outcome {
    let holder = cx.client().await?;
    let (nervous, faults) = cx.faulty().await?;
    faults.wake_ups(WakeUps::Spurious(Duration::from_millis(1)));
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let waiting = tokio::spawn(nervous.lock(&name).acquire());
    soon("many looks", faults.seen(Verb::Attempt, 20)).await?;
    assert!(!waiting.is_finished(), "granted beside a holder");
    cx.until_waiting(&name, 1).await?;
    guard.release().await?;
    let guard = soon("the lock", waiting).await???;
    faults.tell_look();
    sleep(Duration::from_millis(20)).await;
    assert!(
        guard.is_held(),
        "a holder that is told to look goes on holding"
    );
    cx.only_holder(&name, guard.token()).await?;
    Ok(())
}

/// While nothing happens, a waiter costs the store next to nothing, whether it is woken or looks by
/// itself.
async fn a_waiter_does_not_ask_all_the_time(cx: Context) -> Outcome {
    let holder = cx.client().await?;
    let (waiter, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let waiting = tokio::spawn(waiter.lock(&name).acquire());
    cx.until_waiting(&name, 1).await?;
    let (before, began) = (faults.count(Verb::Attempt), Moment::now());
    sleep(Duration::from_secs(1)).await;
    let asked = faults.count(Verb::Attempt) - before;
    let allowed = 10.0 + 50.0 * began.elapsed().as_secs_f64();
    assert!(
        f64::from(asked) <= allowed,
        "{asked} attempts of one waiter in {:?}",
        began.elapsed()
    );
    guard.release().await?;
    soon("the lock", waiting).await???.release().await?;
    Ok(())
}

/// The store fails for less than a TTL while somebody waits; the wait goes on, and ends with the
/// lock.
async fn a_waiter_outlasts_an_outage_of_the_store(cx: Context) -> Outcome {
    let ttl = 5 * cx.ttl();
    let holder = cx.client().await?;
    let (patient, faults) = cx.faulty().await?;
    let name = cx.name();
    let guard = holder.lock(&name).acquire().await?;
    let waiting = tokio::spawn(patient.lock(&name).ttl(ttl).acquire());
    cx.until_waiting(&name, 1).await?;
    faults.add(Verb::Attempt, Which::All, Fault::LoseRequest);
    faults.tell_look();
    soon(
        "some attempts that fail",
        faults.seen(Verb::Attempt, faults.count(Verb::Attempt) + 3),
    )
    .await?;
    assert!(
        !waiting.is_finished(),
        "gave up in less than a TTL of trouble"
    );
    faults.heal();
    guard.release().await?;
    within(ttl, "the lock after an outage", waiting)
        .await???
        .release()
        .await?;
    Ok(())
}

/// On one thread, while one task waits for a lock: others of the same client get theirs.
async fn waiting_keeps_nothing_else_from_going_on(cx: Context) -> Outcome {
    let went_on = cx.elsewhere(|cx| async move {
        let locks = cx.client().await?;
        let name = cx.name();
        let guard = locks.lock(&name).acquire().await?;
        let waiting = tokio::spawn(locks.lock(&name).acquire());
        cx.until_waiting(&name, 1).await?;
        for _ in 0..10 {
            let other = soon("another lock", locks.lock(cx.name()).acquire()).await??;
            soon("its release", other.release()).await??;
        }
        assert!(!waiting.is_finished());
        guard.release().await?;
        soon("the lock that was waited for", waiting)
            .await???
            .release()
            .await?;
        Outcome::Ok(())
    });
    went_on.await
}

/// Nobody is forgotten: of many who come, in any order and by any store's rules, all are served.
async fn everybody_in_the_line_is_served(cx: Context) -> Outcome {
    let clients: [Locks; 4] = cx.rivals().await?;
    let name = cx.name();
    let mut tasks = JoinSet::new();
    for client in clients.iter().cycle().take(40) {
        let acquire = client.lock(&name).acquire();
        tasks.spawn(async move {
            let guard = acquire.await?;
            guard.release().await
        });
    }
    for ended in within(
        cx.case_limit() / 2,
        "the lock for everybody",
        tasks.join_all(),
    )
    .await?
    {
        ended?;
    }
    cx.until_free(&name).await?;
    Ok(())
}
