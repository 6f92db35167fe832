//! P9: a future that is dropped, at any point, leaves nothing behind: no hold, no place in line.
//!
//! The first cases are one table. A [`Sweep`] polls a public future k times and drops it, for every
//! k until it completes, and finds the line of the store empty each time, long before a TTL. Over
//! it go:
//!
//! * every future ([`Ask`]): those that ask for the lock, those of a guard and the guard itself,
//!   and those that look; in every mode ([`Form`]);
//! * on a free lock, on one that another holds, and on one that another lets go of meanwhile
//!   ([`Line`]);
//! * with requests that are late or lost and answers that are late or lost: the first, second and
//!   third of each kind that the future or its withdrawal sends, and the first two in a row
//!   ([`Trouble`]);
//! * driven by a runtime of several threads, by one of a single thread, and by the library's own
//!   thread;
//! * polled and dropped in a task, on a thread without a runtime, while unwinding, in the
//!   destructor of a thread-local, in another runtime and among blocking work ([`Place`]); and in
//!   none, after the runtime has gone.
//!
//! The others are single ways to go; [`neighbours`] has what those who stay notice of it.

mod ask;
mod neighbours;
mod place;
mod sweep;

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::case::Case;
use crate::context::{Context, soon};
use crate::failure::{Failure, Outcome};
use crate::faults::{Fault, Verb, Which};
use crate::form::Form;
use crate::polling::{drop_after_polls, poll_once};

use ask::Ask;
use place::Place;
use sweep::{Client, Line, Load, Sweep, Trouble, here, on_own_thread, together};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::of(at_any_poll).sweep(),
        Case::of(at_any_poll_in_a_runtime_of_one_thread).sweep(),
        Case::of(at_any_poll_of_locks_with_a_thread_of_their_own).sweep(),
        Case::of(at_any_poll_wherever_that_is).sweep(),
        Case::of(at_any_poll_while_requests_are_late).sweep(),
        Case::of(at_any_poll_while_answers_are_late).sweep(),
        Case::of(at_any_poll_while_requests_are_lost).sweep().long(),
        Case::of(at_any_poll_while_answers_are_lost).sweep().long(),
        Case::of(at_any_poll_before_the_runtime_has_gone),
        Case::of(under_way_as_the_runtime_goes_it_fails),
        Case::of(waiting_as_the_runtime_goes_it_fails),
        Case::of(a_future_that_was_never_polled_asks_nothing),
        Case::of(dropped_while_the_store_hangs),
        Case::of(dropped_as_its_time_limit_passes),
        Case::of(an_aborted_task_gives_back_its_lock),
        Case::of(dropping_other_futures_changes_nothing),
    ];
    cases.extend(neighbours::cases());
    cases
}

/// What is late is so late.
const LATE: Duration = Duration::from_millis(9);

/// Every future, in every mode that the store has, on every line.
///
/// Where waiters are not told but look, each hand-over takes as long as they wait between two
/// looks; one future in one mode has to do for all that are handed a lock.
fn table(cx: &Context) -> Vec<(Ask, Form, Line)> {
    let is_quick = |entry: &(Ask, Form, Line)| {
        let (ask, form, line) = *entry;
        !line.hands_over(ask) || (ask, form) == (Ask::Acquire, Form::Exclusive)
    };
    let mut table = Vec::new();
    for form in Form::of(cx.capabilities()) {
        for ask in Ask::all().filter(|ask| form == Form::Exclusive || ask.has_a_form()) {
            let lines = Line::ALL.into_iter().filter(|line| line.suits(ask));
            table.extend(lines.map(|line| (ask, form, line)));
        }
    }
    if !cx.capabilities().push {
        table.retain(is_quick);
    }
    table
}

/// That part of it which every store has.
fn exclusive(cx: &Context) -> Vec<(Ask, Form, Line)> {
    let mut table = table(cx);
    table.retain(|(_, form, _)| *form == Form::Exclusive);
    table
}

/// All these, untroubled, over clients that are made so.
async fn sweep_all<R>(
    cx: &Context,
    table: Vec<(Ask, Form, Line)>,
    client: fn(Context) -> R,
) -> Outcome
where
    R: Future<Output = distlock_core::Result<Client>> + Send + 'static,
{
    let other = cx.client().await?;
    let sweeps = table.into_iter().map(|(ask, form, line)| {
        let (cx, other) = (cx.clone(), other.clone());
        async move {
            let client = client(cx.clone()).await?;
            let sweep = Sweep::new(&cx, client, &other, ask, form, line);
            sweep.run().await.map(drop)
        }
    });
    together(Load::Busy, sweeps.collect()).await
}

/// In a runtime of several threads, the futures and what drives them really run at the same time.
async fn at_any_poll(cx: Context) -> Outcome {
    sweep_all(&cx, table(&cx), here).await
}

/// In a runtime of a single thread, each runs up to where it waits.
async fn at_any_poll_in_a_runtime_of_one_thread(cx: Context) -> Outcome {
    cx.elsewhere(async |cx| sweep_all(&cx, exclusive(&cx), here).await)
        .await
}

/// The futures are polled here, and what drives them has a runtime of its own.
async fn at_any_poll_of_locks_with_a_thread_of_their_own(cx: Context) -> Outcome {
    sweep_all(&cx, exclusive(&cx), on_own_thread).await
}

/// On threads with and without a runtime, by a panic, and so late that the thread has all but
/// ended.
async fn at_any_poll_wherever_that_is(cx: Context) -> Outcome {
    let other = cx.client().await?;
    let mut sweeps = Vec::new();
    for place in Place::ODD {
        for (ask, form, line) in exclusive(&cx) {
            // What others do makes no difference to where a future is.
            if line == Line::Contended {
                continue;
            }
            let (cx, other) = (cx.clone(), other.clone());
            sweeps.push(async move {
                let sweep = Sweep::new(&cx, cx.faulty().await?, &other, ask, form, line);
                sweep.at(place).run().await.map(drop)
            });
        }
    }
    together(Load::Busy, sweeps).await
}

/// Every request of every future goes wrong so: the first, the second and the third, for as long as
/// it sends so many, and the first two in a row. The modes take turns.
async fn sweep_through(cx: &Context, fault: Fault) -> Outcome {
    let other = cx.client().await?;
    let all = table(cx);
    let mut sweeps = Vec::new();
    for (number, (ask, _, line)) in exclusive(cx).into_iter().enumerate() {
        let forms = all.iter().filter(|entry| (entry.0, entry.2) == (ask, line));
        let forms: Vec<_> = forms.map(|(_, form, _)| *form).collect();
        let form = forms[number % forms.len()];
        for &verb in ask.verbs() {
            let (cx, other) = (cx.clone(), other.clone());
            sweeps.push(async move {
                let sweep = Sweep::new(&cx, cx.faulty().await?, &other, ask, form, line);
                let through = async |which| {
                    let trouble = Trouble { verb, which, fault };
                    sweep.clone().through(trouble).run().await
                };
                for request in 1..=3 {
                    if through(Which::Nth(request)).await? <= request {
                        break;
                    }
                }
                through(Which::First(2)).await.map(drop)
            });
        }
    }
    together(Load::Idle, sweeps).await
}

/// The store hears of it later than of other things, perhaps after the future has been dropped.
async fn at_any_poll_while_requests_are_late(cx: Context) -> Outcome {
    sweep_through(&cx, Fault::DelayRequest(LATE)).await
}

/// The store has done it, and the future may be dropped before that is known.
async fn at_any_poll_while_answers_are_late(cx: Context) -> Outcome {
    sweep_through(&cx, Fault::DelayReply(LATE)).await
}

/// The store never hears of it, and is asked again.
async fn at_any_poll_while_requests_are_lost(cx: Context) -> Outcome {
    sweep_through(&cx, Fault::LoseRequest).await
}

/// The store has done it, and nobody knows.
async fn at_any_poll_while_answers_are_lost(cx: Context) -> Outcome {
    sweep_through(&cx, Fault::LoseReply).await
}

/// With the runtime goes whoever could tell the store, so that the TTL has to; but nothing panics,
/// and nothing hangs, in a future that is polled and dropped afterwards.
async fn at_any_poll_before_the_runtime_has_gone(cx: Context) -> Outcome {
    let ttl = cx.steady();
    let mut names = Vec::new();
    for polls in 0..6 {
        let mut running = JoinSet::new();
        for ask in Ask::all() {
            let (cx, name) = (cx.clone(), cx.name());
            names.push(name.clone());
            running.spawn(async move {
                let left = cx.elsewhere(async move |cx| {
                    let locks = cx.builder().ttl(ttl).build(cx.backend().await?)?;
                    let form = Form::Exclusive;
                    let own = match ask.holds() {
                        true => Some(form.acquire(&locks, &name).await?),
                        false => None,
                    };
                    let mut asked = ask.of(form, &locks, &name, own);
                    for _ in 0..polls {
                        if poll_once(&mut asked).await.is_ready() {
                            return Ok::<_, Failure>(None);
                        }
                        tokio::task::yield_now().await;
                    }
                    Ok(Some(asked))
                });
                if let Some(mut asked) = left.await? {
                    let answer = poll_once(&mut asked).await;
                    assert!(
                        answer.is_ready() || ask == Ask::Guard,
                        "{ask:?}, polled {polls} times before, hangs when its runtime has gone"
                    );
                }
                Outcome::Ok(())
            });
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
    }
    for name in names {
        let limit = cx.gone_by(ttl);
        cx.until_within(limit, &name, "what was left to have expired", |state| {
            state.is_free()
        })
        .await?;
    }
    Ok(())
}

/// What the store has not answered when the runtime goes is told as an error: nobody will ever know
/// more.
async fn under_way_as_the_runtime_goes_it_fails(cx: Context) -> Outcome {
    let is_answered = |ask: &Ask| !matches!(ask, Ask::Lost | Ask::Guard | Ask::Settle);
    for ask in Ask::all().filter(is_answered) {
        let name = cx.name();
        let left = cx.elsewhere(async move |cx| {
            let (locks, faults) = cx.faulty().await?;
            let form = Form::Exclusive;
            let own = match ask.holds() {
                true => Some(form.acquire(&locks, &name).await?),
                false => None,
            };
            for verb in [Verb::Attempt, Verb::Renew, Verb::Release, Verb::Inspect] {
                faults.add(verb, Which::All, Fault::Hang);
            }
            let mut asked = ask.of(form, &locks, &name, own);
            assert!(poll_once(&mut asked).await.is_pending());
            tokio::task::yield_now().await;
            Ok::<_, Failure>(asked)
        });
        let mut asked = left.await?;
        let answer = poll_once(&mut asked).await;
        assert!(
            matches!(answer, Poll::Ready(Err(_))),
            "{ask:?}, under way when its runtime has gone: {answer:?}"
        );
    }
    Ok(())
}

/// Who waits for a lock that a guard holds, of the same client or of another, first in the line or
/// behind another, waits for nothing once the runtime has gone. The guards stay, so that it is not
/// they who end the wait.
async fn waiting_as_the_runtime_goes_it_fails(cx: Context) -> Outcome {
    let elsewhere = cx.client().await?;
    // Whoever looks does so from here, and not from the runtime that goes.
    assert!(cx.state(&cx.name()).await?.is_free());
    for is_own in [true, false] {
        let (name, other) = (cx.name(), elsewhere.clone());
        let left = cx.elsewhere(async move |cx| {
            let locks = cx.client().await?;
            let holder = if is_own { &locks } else { &other };
            let held = holder.lock(&name).acquire().await?;
            let mut line = [(); 2].map(|()| Box::pin(locks.lock(&name).acquire()));
            for asked in &mut line {
                assert!(poll_once(asked).await.is_pending());
            }
            cx.until_waiting(&name, 1).await?;
            Ok::<_, Failure>((held, line))
        });
        let (_held, line) = left.await?;
        for (place, mut asked) in line.into_iter().enumerate() {
            let answer = poll_once(&mut asked).await;
            assert!(
                matches!(answer, Poll::Ready(Err(_))),
                "at place {place} when its runtime has gone, own: {is_own}: {answer:?}"
            );
        }
    }
    Ok(())
}

/// A future that nobody polled has not asked for anything.
async fn a_future_that_was_never_polled_asks_nothing(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    let lock = locks.lock(&name);
    drop((
        lock.acquire(),
        lock.acquire_within(Duration::from_secs(1)),
        lock.try_acquire(),
        lock.run(async |_| ()),
    ));
    locks.settle().await;
    assert_eq!(
        (faults.count(Verb::Attempt), faults.count(Verb::Release)),
        (0, 0),
        "requests for futures never polled"
    );
    assert!(cx.state(&name).await?.is_free());
    Ok(())
}

/// The store does not answer, so it cannot be told either. Once it answers again, what it had done
/// is taken back.
async fn dropped_while_the_store_hangs(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    for fault in [
        Fault::LoseReply,
        Fault::Hang,
        Fault::Stall(Duration::from_millis(50)),
    ] {
        let name = cx.name();
        faults.add(Verb::Attempt, Which::All, fault);
        faults.add(Verb::Release, Which::First(2), Fault::LoseRequest);
        let mut asked = locks.lock(&name).acquire();
        assert!(poll_once(&mut asked).await.is_pending());
        soon(
            "a request",
            faults.seen(Verb::Attempt, faults.count(Verb::Attempt).max(1)),
        )
        .await?;
        sleep(Duration::from_millis(5)).await;
        drop(asked);
        soon("withdrawal", locks.settle()).await?;
        assert!(
            cx.state(&name).await?.is_free(),
            "{fault:?}: something is left after `settle`"
        );
        faults.heal();
    }
    Ok(())
}

/// Nobody is left to be told that the time is over, and what was begun is still to be settled.
async fn dropped_as_its_time_limit_passes(cx: Context) -> Outcome {
    const LIMIT: Duration = Duration::from_millis(4);
    let rounds = async |cx: Context| {
        let (locks, faults) = cx.faulty().await?;
        for _ in 0..24 {
            let name = cx.name();
            faults.add(Verb::Attempt, Which::All, Fault::DelayReply(4 * LIMIT));
            let asked = faults.count(Verb::Attempt);
            let mut acquire = locks.lock(&name).acquire_within(LIMIT);
            assert!(poll_once(&mut acquire).await.is_pending());
            soon("an attempt", faults.seen(Verb::Attempt, asked + 1)).await?;
            // By the same turn of the same timer: whoever drives the lock finds its caller gone and
            // the time over.
            sleep(LIMIT).await;
            drop(acquire);
            soon("the withdrawal", locks.settle()).await?;
            let state = cx.state(&name).await?;
            assert!(
                state.is_free(),
                "something is left after `settle`: {state:?}"
            );
            faults.heal();
        }
        Ok(())
    };
    cx.elsewhere(rounds).await
}

/// Aborting a task drops its guard, or its acquisition, wherever it was.
async fn an_aborted_task_gives_back_its_lock(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    for round in 0..20 {
        let lock = locks.lock(&name);
        let task = tokio::spawn(async move {
            let _guard = lock.acquire().await?;
            std::future::pending::<()>().await;
            Outcome::Ok(())
        });
        sleep(Duration::from_micros(100 * round)).await;
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
        soon("its withdrawal", locks.settle()).await?;
        cx.until_free(&name).await?;
    }
    Ok(())
}

/// The futures of a guard and the readings of a store can be dropped at any poll; the hold stays as
/// it was.
async fn dropping_other_futures_changes_nothing(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    let guard = locks.lock(&name).acquire().await?;
    let mut watch = locks.watch(&name);
    for polls in 0..6 {
        let _ = drop_after_polls(polls, Duration::ZERO, guard.lost()).await;
        drop(drop_after_polls(polls, Duration::ZERO, Box::pin(guard.ensure(cx.calm() / 2))).await);
        drop(
            drop_after_polls(
                polls,
                Duration::ZERO,
                Box::pin(guard.while_held(std::future::pending::<()>())),
            )
            .await,
        );
        drop(drop_after_polls(polls, Duration::ZERO, Box::pin(locks.inspect(&name))).await);
        drop(drop_after_polls(polls, Duration::ZERO, Box::pin(watch.next())).await);
        let _ = drop_after_polls(polls, Duration::ZERO, Box::pin(locks.settle())).await;
    }
    assert!(guard.is_held());
    cx.only_holder(&name, guard.token()).await?;
    let release = guard.release();
    // A release has begun with the call; its future only listens.
    drop(release);
    soon("the release", locks.settle()).await?;
    assert!(
        cx.state(&name).await?.is_free(),
        "a release whose future was dropped"
    );
    Ok(())
}
