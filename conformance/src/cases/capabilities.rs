//! P16: what a store says of itself is true, and what its users see of a lock too.

mod options;
mod watch;

use std::time::Duration;

use distlock_core::{Entry, ErrorKind, Locks, Mode, Moment};
use tokio::time::sleep;

use crate::case::{Case, Need};
use crate::context::{Context, refused, soon};
use crate::failure::Outcome;
use crate::faults::Verb;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::of(they_are_the_ones_that_were_pinned),
        Case::of(they_make_sense),
        Case::of(modes_that_are_missing_are_unsupported).needs([Need::MissingMode]),
        Case::of(the_ends_of_the_ttl_range_are_accepted),
        Case::of(a_hold_has_the_ttl_that_was_asked_for_but_for_the_step),
        Case::of(a_name_that_nobody_uses_is_shown_free),
        Case::of(a_name_that_somebody_waits_for_is_not_shown_free).long(),
        Case::of(holders_and_waiters_are_shown_in_order),
        Case::of(every_mode_is_shown_as_what_it_is).needs([Need::Shared, Need::Permits]),
        Case::of(the_expiry_shown_is_the_expiry_kept),
        Case::of(an_age_counts_from_the_first_request),
    ];
    cases.extend(options::cases());
    cases.extend(watch::cases());
    cases
}

/// What the backend says is what its author has written down, at every client and every call.
async fn they_are_the_ones_that_were_pinned(cx: Context) -> Outcome {
    for _ in 0..2 {
        let backend = cx.backend().await?;
        assert_eq!(
            backend.capabilities(),
            cx.capabilities(),
            "what the backend says, and what was pinned"
        );
        assert_eq!(
            backend.capabilities(),
            cx.capabilities(),
            "the same at the second call"
        );
        assert_eq!(cx.client().await?.capabilities(), cx.capabilities());
    }
    Ok(())
}

/// They do not contradict themselves.
async fn they_make_sense(cx: Context) -> Outcome {
    let store = cx.capabilities();
    let backend = cx.backend().await?;
    assert_eq!(backend.capabilities().store, store.store);
    assert!(
        !store.store.is_empty()
            && store
                .store
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    );
    assert!(
        store.ttl.start() <= store.ttl.end(),
        "a range of TTLs: {:?}",
        store.ttl
    );
    // The margin for drift is 2 milliseconds and a hundredth.
    assert!(
        *store.ttl.start() > Duration::from_millis(3),
        "TTLs that end within their margin: {:?}",
        store.ttl
    );
    assert!(
        !store.ttl_step.is_zero() && store.ttl_step <= *store.ttl.start(),
        "a step of {:?}",
        store.ttl_step
    );
    Ok(())
}

/// Asking for a mode that the store does not have is an error that says so, before anything is
/// sent.
async fn modes_that_are_missing_are_unsupported(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let name = cx.name();
    if !cx.capabilities().shared {
        refused(
            ErrorKind::Unsupported,
            soon("an answer", locks.rw_lock(&name).read()).await?,
        )?;
        refused(
            ErrorKind::Unsupported,
            soon("an answer", locks.rw_lock(&name).try_read()).await?,
        )?;
    }
    if !cx.capabilities().permits {
        refused(
            ErrorKind::Unsupported,
            soon("an answer", locks.semaphore(&name, 2).acquire()).await?,
        )?;
        refused(
            ErrorKind::Unsupported,
            soon("an answer", locks.semaphore(&name, 2).try_acquire()).await?,
        )?;
    }
    assert_eq!(
        faults.count(Verb::Attempt),
        0,
        "asked of a store that cannot"
    );
    Ok(())
}

/// The shortest and the longest TTL are TTLs as any other.
async fn the_ends_of_the_ttl_range_are_accepted(cx: Context) -> Outcome {
    let (shortest, longest) = cx.capabilities().ttl.clone().into_inner();
    let locks = cx.client().await?;
    let guard = soon(
        "a lock of the longest TTL",
        locks.lock(cx.name()).ttl(longest).acquire(),
    )
    .await??;
    let in_force = cx.capabilities().ttl_in_force(longest);
    assert!(
        guard.is_held() && guard.valid_for() > in_force / 3,
        "valid for {:?} of {in_force:?}",
        guard.valid_for()
    );
    guard.release().await?;
    // The shortest may be too short for the machine, so it is asked for where nobody has to keep
    // up.
    let claim = cx.bare(&cx.name(), Mode::Exclusive, shortest).await?;
    claim.hold().await?;
    let claim = cx.bare(&cx.name(), Mode::Exclusive, longest).await?;
    claim.hold().await?;
    claim.release().await?;
    Ok(())
}

/// The TTL in force is never longer than asked, and shorter by less than a step; a session's may be
/// half.
async fn a_hold_has_the_ttl_that_was_asked_for_but_for_the_step(cx: Context) -> Outcome {
    let step = cx.capabilities().ttl_step;
    for asked in [
        *cx.capabilities().ttl.start(),
        cx.ttl(),
        cx.ttl() + step.mul_f64(0.5),
        cx.ttl().mul_f64(1.37),
    ] {
        let claim = cx.bare(&cx.name(), Mode::Exclusive, asked).await?;
        let hold = claim.hold().await?;
        assert!(
            hold.ttl <= asked,
            "a TTL of {:?} where {asked:?} were asked for",
            hold.ttl
        );
        let least = match cx.capabilities().expiry {
            distlock_core::Expiry::PerClaim => asked.saturating_sub(step),
            _ => (asked / 2).saturating_sub(step),
        };
        assert!(
            hold.ttl >= least,
            "a TTL of {:?} where {asked:?} were asked for",
            hold.ttl
        );
    }
    Ok(())
}

/// Nobody holds what nobody has asked for, or what everybody has released.
async fn a_name_that_nobody_uses_is_shown_free(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let name = cx.name();
    assert!(locks.inspect(&name).await?.is_free());
    locks.lock(&name).acquire().await?.release().await?;
    assert!(locks.inspect(&name).await?.is_free());
    Ok(())
}

/// Whoever waits behind a dead holder is the next to hold: nobody may take the name for free, be it
/// that the store has granted it already or will when it is asked.
async fn a_name_that_somebody_waits_for_is_not_shown_free(cx: Context) -> Outcome {
    let name = cx.name();
    let dead = cx.bare(&name, Mode::Exclusive, cx.steady()).await?;
    dead.hold().await?;
    let waiter = cx.bare(&name, Mode::Exclusive, cx.calm()).await?;
    waiter.wait().await?;
    sleep(cx.gone_by(cx.steady())).await;
    let state = cx.state(&name).await?;
    assert!(!state.is_free(), "free, and waited for: {state:?}");
    Ok(())
}

/// Whatever the store can know is shown, of the holder and of two who wait, in the order of their
/// coming.
async fn holders_and_waiters_are_shown_in_order(cx: Context) -> Outcome {
    let clients: [Locks; 3] = cx.clients().await?;
    let name = cx.name();
    let ttl = cx.calm();
    let labels = ["the holder", "the first to wait ✓", "the second to wait"];
    let guard = clients[0].lock(&name).label(labels[0]).acquire().await?;
    sleep(Duration::from_millis(30)).await;
    let mut waiting = Vec::new();
    for number in 1..3 {
        waiting.push(tokio::spawn(
            clients[number].lock(&name).label(labels[number]).acquire(),
        ));
        cx.until_waiting(&name, number).await?;
    }
    // Asked through the first client: what is shown does not depend on who asks.
    let state = clients[0].inspect(&name).await?;
    let entries: Vec<&Entry> = state.holders.iter().chain(&state.waiters).collect();
    assert_eq!((state.holders.len(), entries.len()), (1, 3), "{state:?}");
    assert!(
        entries[0].token.is_none_or(|token| token == guard.token()),
        "the holder's token: {state:?}"
    );
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(entry.mode, Mode::Exclusive, "{state:?}");
        assert!(
            number == 0 || entry.token.is_none(),
            "a waiter has no token yet: {state:?}"
        );
        if let Some(label) = &entry.label {
            assert_eq!(label, labels[number], "in the order of their coming");
        }
        assert!(
            entry
                .expires_in
                .is_none_or(|left| left <= ttl && left > ttl / 4),
            "{state:?}"
        );
        assert!(entry.age.is_none_or(|age| age < ttl), "{state:?}");
    }
    let ages: Vec<_> = entries.iter().filter_map(|entry| entry.age).collect();
    assert!(
        ages.is_sorted_by(|older, younger| older >= younger),
        "the eldest first: {state:?}"
    );
    assert!(
        entries[0]
            .age
            .is_none_or(|age| age >= Duration::from_millis(30)),
        "the holder's age: {state:?}"
    );
    let owners: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.owner.as_deref())
        .collect();
    let distinct: std::collections::HashSet<_> = owners.iter().collect();
    assert_eq!(
        distinct.len(),
        owners.len(),
        "three clients, three owners: {state:?}"
    );
    for waiter in &waiting {
        waiter.abort();
    }
    cx.until_waiting(&name, 0).await?;
    // The owner stays that of the client, whichever of its claims it is.
    let second = clients[0].lock(cx.name()).acquire().await?;
    let other = cx.state(second.name().as_str()).await?;
    if let (Some(owner), Some(same)) = (&state.holders[0].owner, &other.holders[0].owner) {
        assert_eq!(owner, same, "two claims of one client");
    }
    Ok(())
}

/// Readers are shown as readers, permits as permits with their limit.
async fn every_mode_is_shown_as_what_it_is(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let (read, permits) = (cx.name(), cx.name());
    let _readers = [
        one.rw_lock(&read).read().await?,
        other.rw_lock(&read).read().await?,
    ];
    let _permits = [
        one.semaphore(&permits, 3).acquire().await?,
        other.semaphore(&permits, 3).acquire().await?,
    ];
    for (name, mode) in [(&read, Mode::Shared), (&permits, Mode::Permit { limit: 3 })] {
        let state = cx.state(name).await?;
        assert_eq!(state.holders.len(), 2, "{state:?}");
        assert!(
            state.holders.iter().all(|holder| holder.mode == mode),
            "{state:?}"
        );
        let tokens: Vec<_> = state
            .holders
            .iter()
            .filter_map(|holder| holder.token)
            .collect();
        assert!(
            tokens.is_sorted_by(|earlier, later| earlier < later),
            "in the order of their grants: {state:?}"
        );
    }
    Ok(())
}

/// The expiry that is shown runs down, and what it says comes true.
async fn the_expiry_shown_is_the_expiry_kept(cx: Context) -> Outcome {
    let ttl = 2 * cx.ttl();
    let name = cx.name();
    let claim = cx.bare(&name, Mode::Exclusive, ttl).await?;
    claim.hold().await?;
    let shown = cx
        .state(&name)
        .await?
        .holders
        .first()
        .and_then(|holder| holder.expires_in);
    // A store that cannot know is excused from the rest.
    let Some(left) = shown else { return Ok(()) };
    assert!(left <= ttl, "{left:?} left of a TTL of {ttl:?}");
    sleep(left / 2).await;
    let state = cx.state(&name).await?;
    let later = state.holders.first().and_then(|holder| holder.expires_in);
    assert!(
        later.is_some_and(|later| later <= left / 2),
        "{later:?} after half of {left:?}"
    );
    cx.until_within(
        cx.gone_by(left / 2),
        &name,
        "the end that was shown",
        |state| state.is_free(),
    )
    .await?;
    Ok(())
}

/// Neither asking again nor being renewed makes anybody younger.
async fn an_age_counts_from_the_first_request(cx: Context) -> Outcome {
    let name = cx.name();
    let holder = cx.bare(&name, Mode::Exclusive, cx.steady()).await?;
    let waiter = cx.bare(&name, Mode::Exclusive, cx.steady()).await?;
    holder.hold().await?;
    waiter.wait().await?;
    let began = Moment::now();
    for _ in 0..4 {
        sleep(cx.steady() / 4).await;
        let all_along = began.elapsed().mul_f64(0.99);
        holder.renew().await?;
        waiter.wait().await?;
        let state = cx.state(&name).await?;
        assert_eq!(
            (state.holders.len(), state.waiters.len()),
            (1, 1),
            "{state:?}"
        );
        let mut entries = state.holders.iter().chain(&state.waiters);
        assert!(
            entries.all(|entry| entry.age.is_none_or(|age| age >= all_along)),
            "one of these has been there for less than {all_along:?}: {state:?}"
        );
    }
    Ok(())
}
