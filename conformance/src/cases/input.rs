//! P13: input that cannot be right is an `InvalidInput` that says what is allowed, before anything
//! is sent.

use std::time::Duration;

use distlock_core::backend::{Backend, ClaimRequest};
use distlock_core::{Deadline, ErrorKind, Locks, Mode, Name, Ttl};

use crate::case::{Case, Need};
use crate::context::{Context, refused, soon};
use crate::failure::{Outcome, Unmet};
use crate::faults::{Faults, Faulty, Verb};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(bad_names),
        Case::of(bad_namespaces),
        Case::of(ttls_out_of_range),
        Case::of(a_default_ttl_out_of_range),
        Case::of(no_permits).needs([Need::Permits]),
        Case::of(no_time_to_hold),
        Case::of(bad_labels),
        Case::of(a_claim_sends_nothing),
    ]
}

/// Fails if anything has been asked of the store.
fn nothing_was_sent(faults: &Faults) {
    let sent =
        [Verb::Attempt, Verb::Renew, Verb::Release, Verb::Inspect].map(|verb| faults.count(verb));
    assert_eq!(
        sent, [0; 4],
        "attempts, renewals, releases and inspections for input that was refused"
    );
}

/// An error that says what was wrong by saying what is allowed.
fn says<T>(result: distlock_core::Result<T>, allowed: &str) -> Result<(), Unmet> {
    let error = refused(ErrorKind::InvalidInput, result)?.to_string();
    if error.contains(allowed) {
        return Ok(());
    }
    Err(Unmet(format!(
        "expected an error that says `{allowed}`; it says `{error}`"
    )))
}

/// Empty, too long, and with control characters: for every verb.
async fn bad_names(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let long = "x".repeat(Name::MAX_BYTES + 1);
    let long_in_bytes = "é".repeat(Name::MAX_BYTES / 2 + 1);
    for name in [
        "",
        &long,
        &long_in_bytes,
        "\n",
        "a\0",
        "\ta",
        "a\u{7f}b",
        "a\u{85}",
    ] {
        const ALLOWED: &str = "1 to 512 bytes";
        let lock = locks.lock(name);
        says(soon("an answer", lock.acquire()).await?, ALLOWED)?;
        says(
            soon("an answer", lock.acquire_within(Duration::from_secs(1))).await?,
            ALLOWED,
        )?;
        says(soon("an answer", lock.try_acquire()).await?, ALLOWED)?;
        says(soon("an answer", lock.run(async |_| ())).await?, ALLOWED)?;
        says(
            soon("an answer", locks.rw_lock(name).read()).await?,
            ALLOWED,
        )?;
        says(
            soon("an answer", locks.rw_lock(name).try_write()).await?,
            ALLOWED,
        )?;
        says(
            soon("an answer", locks.semaphore(name, 1).acquire()).await?,
            ALLOWED,
        )?;
        says(soon("an answer", locks.inspect(name)).await?, ALLOWED)?;
        says(soon("an answer", locks.watch(name).next()).await?, ALLOWED)?;
    }
    nothing_was_sent(&faults);
    Ok(())
}

/// A namespace obeys the same rule, up to its own length.
async fn bad_namespaces(cx: Context) -> Outcome {
    let (backend, faults) = Faulty::new(cx.backend().await?);
    let backend = std::sync::Arc::new(backend);
    let long = "n".repeat(Name::MAX_NAMESPACE_BYTES + 1);
    for namespace in ["", &long, "a\nb", "\0"] {
        let built = cx
            .builder()
            .namespace(namespace)
            .build(std::sync::Arc::clone(&backend));
        says(built, "1 to 128 bytes")?;
    }
    nothing_was_sent(&faults);
    Ok(())
}

/// TTLs that the store does not take: the error tells its range.
async fn ttls_out_of_range(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let (shortest, longest) = cx.capabilities().ttl.clone().into_inner();
    let range = format!("{shortest:?} to {longest:?}");
    let instant = Duration::from_nanos(1);
    for ttl in [
        Duration::ZERO,
        instant,
        shortest - instant,
        longest + instant,
        Duration::MAX,
    ] {
        let lock = locks.lock(cx.name()).ttl(ttl);
        says(soon("an answer", lock.acquire()).await?, &range)?;
        says(soon("an answer", lock.try_acquire()).await?, &range)?;
        let shared = locks.rw_lock(cx.name()).ttl(ttl);
        says(soon("an answer", shared.write()).await?, &range)?;
    }
    nothing_was_sent(&faults);
    Ok(())
}

/// The same for the TTL of all locks, when they are made.
async fn a_default_ttl_out_of_range(cx: Context) -> Outcome {
    let (shortest, longest) = cx.capabilities().ttl.clone().into_inner();
    for ttl in [
        Duration::ZERO,
        shortest - Duration::from_nanos(1),
        Duration::MAX,
    ] {
        let built = Locks::builder().ttl(ttl).build(cx.backend().await?);
        says(built, &format!("{shortest:?} to {longest:?}"))?;
    }
    Ok(())
}

/// A semaphore of nothing.
async fn no_permits(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let semaphore = locks.semaphore(cx.name(), 0);
    says(soon("an answer", semaphore.acquire()).await?, "1 or more")?;
    says(
        soon("an answer", semaphore.try_acquire()).await?,
        "1 or more",
    )?;
    nothing_was_sent(&faults);
    Ok(())
}

/// A hold of no length.
async fn no_time_to_hold(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let lock = locks.lock(cx.name()).max_hold(Duration::ZERO);
    says(soon("an answer", lock.acquire()).await?, "more than zero")?;
    nothing_was_sent(&faults);
    // Whereas one that is longer than any clock can tell is fine.
    soon(
        "the lock",
        locks.lock(cx.name()).max_hold(Duration::MAX).acquire(),
    )
    .await??
    .release()
    .await?;
    Ok(())
}

/// Labels reach the store, so they obey a rule as names do.
async fn bad_labels(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let long = "l".repeat(257);
    for label in ["", &long, "a\nb", "\u{1b}[31m"] {
        says(
            soon("an answer", locks.lock(cx.name()).label(label).acquire()).await?,
            "1 to 256 bytes",
        )?;
        says(
            cx.builder().label(label).build(cx.backend().await?),
            "1 to 256 bytes",
        )?;
    }
    nothing_was_sent(&faults);
    Ok(())
}

/// A claim is named without the store hearing of it.
async fn a_claim_sends_nothing(cx: Context) -> Outcome {
    let backend = cx.backend().await?;
    let name = Name::in_namespace(cx.namespace(), cx.name())?;
    let ttl = Ttl::new(cx.calm(), cx.capabilities())?;
    for _ in 0..3 {
        let claim = backend.claim(ClaimRequest::new(name.clone(), Mode::Exclusive, ttl))?;
        let state = backend
            .inspect(&name, Deadline::within(Duration::from_secs(5)))
            .await?;
        assert!(
            state.is_free(),
            "a claim that has asked for nothing is there: {state:?}"
        );
        drop(claim);
    }
    assert!(cx.state(name.as_str()).await?.is_free());
    Ok(())
}
