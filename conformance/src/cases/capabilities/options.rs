//! What can be chosen for a lock, or for all of them, is what it has, whichever way it is made.

use std::time::Duration;

use distlock_core::{Acquire, Guard, LockState, Locks};

use crate::case::Case;
use crate::context::Context;
use crate::failure::Outcome;
use crate::form::Form;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(a_lock_of_any_form_has_what_was_chosen_for_it),
        Case::of(locks_of_any_runtime_have_what_was_chosen_for_them),
    ]
}

const LABEL: &str = "chosen";

/// Its TTL, how long it may be held at most, and its label.
async fn a_lock_of_any_form_has_what_was_chosen_for_it(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    let (ttl, max_hold) = (cx.calm() / 2, cx.calm() / 8);
    for form in Form::of(cx.capabilities()) {
        let guard = chosen(form, &locks, &cx.name(), ttl, Duration::MAX).await?;
        assert_valid_for_at_most(ttl, &guard);
        assert_labelled(&locks.inspect(guard.name().as_str()).await?);
        let guard = chosen(form, &locks, &cx.name(), ttl, max_hold).await?;
        assert_valid_for_at_most(max_hold, &guard);
    }
    Ok(())
}

fn chosen(form: Form, locks: &Locks, name: &str, ttl: Duration, max_hold: Duration) -> Acquire {
    let rw_lock = || locks.rw_lock(name).ttl(ttl).max_hold(max_hold).label(LABEL);
    match form {
        Form::Exclusive => {
            let lock = locks.lock(name).ttl(ttl).max_hold(max_hold);
            lock.label(LABEL).acquire()
        }
        Form::Reader => rw_lock().read(),
        Form::Writer => rw_lock().write(),
        Form::Permit => {
            let semaphore = locks.semaphore(name, 2).ttl(ttl).max_hold(max_hold);
            semaphore.label(LABEL).acquire()
        }
    }
}

/// Their namespace, TTL, label and margin for drift, be it the caller's runtime that drives them or
/// their own.
async fn locks_of_any_runtime_have_what_was_chosen_for_them(cx: Context) -> Outcome {
    const SHARE: f64 = 0.25;
    let ttl = cx.calm() / 2;
    let namespace = format!("{}-chosen", cx.namespace());
    let builder = || {
        let builder = Locks::builder().namespace(&namespace).ttl(ttl);
        builder.label(LABEL).drift(SHARE, Duration::ZERO)
    };
    let here = builder().build(cx.backend().await?)?;
    let context = cx.clone();
    let there = builder().build_on_own_thread(async move || context.backend().await);
    for locks in [here, there.await?] {
        let guard = locks.lock(cx.name()).acquire().await?;
        assert_eq!(guard.name().namespace(), namespace);
        assert_valid_for_at_most(ttl.mul_f64(1.0 - SHARE), &guard);
        let name = guard.name().as_str();
        assert!(
            cx.state(name).await?.is_free(),
            "held in another namespace than the one that was chosen"
        );
        assert_labelled(&locks.inspect(name).await?);
    }
    Ok(())
}

fn assert_valid_for_at_most(most: Duration, guard: &Guard) {
    let left = guard.valid_for();
    assert!(
        most / 3 < left && left <= most,
        "valid for {left:?}, where {most:?} were chosen: {guard:?}"
    );
}

fn assert_labelled(state: &LockState) {
    let labels = state.holders.iter().map(|holder| holder.label.as_deref());
    assert!(
        labels.flatten().all(|label| label == LABEL),
        "labelled `{LABEL}`: {state:?}"
    );
}
