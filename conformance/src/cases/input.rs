//! P13: input that cannot be right is an `InvalidInput` that says what is allowed, before anything
//! is sent.

use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::{Backend, ClaimRequest};
use distlock_core::{Deadline, ErrorKind, Locks, Loss, Mode, Name, Ttl};

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
        Case::of(ttls_between_steps_are_accepted),
        Case::of(limits_of_permits).needs([Need::Permits]),
        Case::of(time_limits),
        Case::of(times_to_hold),
        Case::of(times_to_ensure),
        Case::of(bad_drifts),
        Case::of(drifts_too_wide_for_a_lock_s_own_ttl),
        Case::of(labels),
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

/// What no text may have that reaches a store: C0, DEL and C1.
fn controls() -> impl Iterator<Item = char> {
    ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}')
}

/// Empty, too long, and with control characters: for every verb.
async fn bad_names(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let mut names = vec![
        String::new(),
        "x".repeat(Name::MAX_BYTES + 1),
        "é".repeat(Name::MAX_BYTES / 2 + 1),
        "🔒".repeat(Name::MAX_BYTES / 4 + 1),
        " ".repeat(1 << 20),
    ];
    for control in controls() {
        names.extend([
            format!("{control}"),
            format!("{control}a"),
            format!("a{control}b"),
            format!("a{control}"),
        ]);
    }
    for name in &names {
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
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let mut namespaces = vec![String::new(), "n".repeat(Name::MAX_NAMESPACE_BYTES + 1)];
    namespaces.extend(controls().map(|control| format!("a{control}b")));
    for namespace in namespaces {
        let built = cx
            .builder()
            .namespace(namespace)
            .build(Arc::clone(&backend));
        says(built, "1 to 128 bytes")?;
    }
    nothing_was_sent(&faults);
    let longest = format!("{:0>128}", cx.namespace());
    let locks = cx.builder().namespace(&longest).build(backend)?;
    let guard = locks.lock("x").acquire().await?;
    assert_eq!(guard.name().namespace(), longest);
    guard.release().await?;
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
        let range = format!("{shortest:?} to {longest:?}");
        let builder = Locks::builder().ttl(ttl);
        says(builder.clone().build(cx.backend().await?), &range)?;
        let context = cx.clone();
        let built = builder.build_on_own_thread(async move || context.backend().await);
        says(built.await, &range)?;
    }
    Ok(())
}

/// A TTL need not be a whole number of anything. No hold lasts longer than was asked.
async fn ttls_between_steps_are_accepted(cx: Context) -> Outcome {
    let locks = cx.client().await?;
    for less in [1, 999, 1_001, 333_333, 1_000_001, 499_999_999, 500_000_001] {
        let ttl = cx.calm() - Duration::from_nanos(less);
        let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
        assert!(guard.valid_for() <= ttl);
        guard.release().await?;
    }
    Ok(())
}

/// A semaphore of nothing, of one and of very many; all who use it say the same.
async fn limits_of_permits(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let semaphore = locks.semaphore(cx.name(), 0);
    says(soon("an answer", semaphore.acquire()).await?, "1 or more")?;
    says(
        soon("an answer", semaphore.try_acquire()).await?,
        "1 or more",
    )?;
    nothing_was_sent(&faults);
    for limit in [1, 1 << 8, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX] {
        let name = cx.name();
        let acquire = locks.semaphore(&name, limit).acquire();
        let permit = soon("the first of so many permits", acquire).await??;
        let another = locks.semaphore(&name, limit / 2 + 2).try_acquire().await;
        let error = refused(ErrorKind::Conflict, another)?.to_string();
        assert!(error.contains(&limit.to_string()), "{error}");
        permit.release().await?;
    }
    Ok(())
}

/// No time at all, the shortest, and more than any clock can tell.
async fn time_limits(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    for short in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(1),
    ] {
        let name = cx.name();
        // Whether it is granted in no time or told that the time is over, it is answered.
        match soon("an answer", other.lock(&name).acquire_within(short)).await? {
            Ok(guard) => drop(guard),
            failed => drop(refused(ErrorKind::TimedOut, failed)?),
        }
        soon("withdrawals", other.settle()).await?;
        let guard = one.lock(&name).acquire().await?;
        let late = soon("an answer", other.lock(&name).acquire_within(short)).await?;
        refused(ErrorKind::TimedOut, late)?;
        soon("withdrawals", other.settle()).await?;
        cx.only_holder(&name, guard.token()).await?;
    }
    for long in far_too_long() {
        let name = cx.name();
        let guard = one.lock(&name).acquire().await?;
        let waiting = tokio::spawn(other.lock(&name).acquire_within(long));
        cx.until_waiting(&name, 1).await?;
        guard.release().await?;
        soon("the lock", waiting).await???.release().await?;
    }
    Ok(())
}

/// Durations that overflow something somewhere: a count of nanoseconds, microseconds or
/// milliseconds in 64 bits, what a clock can tell, what a timer can.
fn far_too_long() -> [Duration; 6] {
    [
        Duration::from_nanos(u64::MAX),
        Duration::from_micros(u64::MAX),
        Duration::from_millis(u64::MAX),
        Duration::from_millis(i64::MAX.unsigned_abs()),
        Duration::from_secs(i64::MAX.unsigned_abs()),
        Duration::MAX,
    ]
}

/// A hold of no length, of the shortest, and of one that is longer than any clock can tell.
async fn times_to_hold(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let lock = locks.lock(cx.name()).max_hold(Duration::ZERO);
    says(soon("an answer", lock.acquire()).await?, "more than zero")?;
    nothing_was_sent(&faults);
    let lock = locks.lock(cx.name()).max_hold(Duration::from_nanos(1));
    let guard = soon("the lock", lock.acquire()).await??;
    assert_eq!(soon("its end", guard.lost()).await?, Loss::MaxHold);
    for long in far_too_long() {
        let lock = locks.lock(cx.name()).max_hold(long);
        let guard = soon("the lock", lock.acquire()).await??;
        assert!(guard.is_held());
        guard.release().await?;
    }
    Ok(())
}

/// What no renewal can reach is told without one.
async fn times_to_ensure(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let ttl = cx.calm();
    let guard = locks.lock(cx.name()).ttl(ttl).acquire().await?;
    for short in [Duration::ZERO, Duration::from_nanos(1), ttl / 2] {
        guard.ensure(short).await?;
    }
    for long in [ttl, ttl + Duration::from_nanos(1)]
        .into_iter()
        .chain(far_too_long())
    {
        says(guard.ensure(long).await, "at most")?;
    }
    assert_eq!(faults.count(Verb::Renew), 0, "renewals");
    guard.release().await?;
    Ok(())
}

/// A margin that is no number, negative, or leaves too little of the TTL.
async fn bad_drifts(cx: Context) -> Outcome {
    const SHARE: &str = "0 or more and less than 1";
    const HALF: &str = "at most half";
    let (backend, faults) = Faulty::new(cx.backend().await?);
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let built = |share, constant| {
        let builder = cx.builder().drift(share, constant);
        builder.build(Arc::clone(&backend))
    };
    for share in [
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        -0.01,
        -f64::MIN_POSITIVE,
        1.0,
        1.5,
        100.0,
    ] {
        says(built(share, Duration::ZERO), SHARE)?;
    }
    for (share, constant) in [
        (0.51, Duration::ZERO),
        (1.0 - f64::EPSILON, Duration::ZERO),
        (0.0, cx.calm() * 51 / 100),
        (0.0, cx.calm()),
        (0.0, Duration::MAX),
        (0.3, cx.calm() * 3 / 10),
    ] {
        says(built(share, constant), HALF)?;
        let (builder, backend) = (cx.builder().drift(share, constant), Arc::clone(&backend));
        let built = builder.build_on_own_thread(async move || Ok(backend));
        says(built.await, HALF)?;
    }
    nothing_was_sent(&faults);
    for (share, constant) in [
        (0.0, Duration::ZERO),
        (-0.0, Duration::from_nanos(1)),
        (f64::MIN_POSITIVE, Duration::ZERO),
        (0.49, Duration::ZERO),
        (0.0, cx.calm() * 49 / 100),
    ] {
        let guard = built(share, constant)?.lock(cx.name()).acquire().await?;
        assert!(guard.is_held());
        guard.release().await?;
    }
    Ok(())
}

/// A margin that suits the TTL of all locks need not suit that of one of them.
async fn drifts_too_wide_for_a_lock_s_own_ttl(cx: Context) -> Outcome {
    let (backend, faults) = Faulty::new(cx.backend().await?);
    let builder = cx.builder().drift(0.0, cx.calm() * 2 / 5);
    let locks = builder.build(backend)?;
    let name = cx.name();
    let ttl = cx.calm() / 2;
    let lock = locks.lock(&name).ttl(ttl);
    let rw_lock = locks.rw_lock(&name).ttl(ttl);
    for acquire in [lock.acquire(), lock.acquire_within(ttl), rw_lock.write()] {
        says(soon("an answer", acquire).await?, "at most half")?;
    }
    let tried = soon("an answer", lock.try_acquire()).await?;
    says(tried, "at most half")?;
    nothing_was_sent(&faults);
    locks.lock(&name).acquire().await?.release().await?;
    Ok(())
}

/// Labels reach the store, so they obey a rule as names do.
async fn labels(cx: Context) -> Outcome {
    let (locks, faults) = cx.faulty().await?;
    let mut labels = vec![String::new(), "l".repeat(257), "🔒".repeat(65)];
    labels.extend(controls().map(|control| format!("a{control}b")));
    for label in &labels {
        says(
            soon("an answer", locks.lock(cx.name()).label(label).acquire()).await?,
            "1 to 256 bytes",
        )?;
    }
    let backend: Arc<dyn Backend> = Arc::from(cx.backend().await?);
    for label in labels {
        let built = cx.builder().label(label).build(Arc::clone(&backend));
        says(built, "1 to 256 bytes")?;
    }
    nothing_was_sent(&faults);
    let longest = "🔒".repeat(64);
    for label in [" ", "%", "'; --", "\u{202e}a\u{2028}", "\u{ffff}", &longest] {
        let name = cx.name();
        let guard = locks.lock(&name).label(label).acquire().await?;
        let state = cx.state(&name).await?;
        let shown = state.holders.iter().map(|holder| holder.label.as_deref());
        assert!(
            shown.flatten().all(|shown| shown == label),
            "{label:?} is shown as {state:?}"
        );
        guard.release().await?;
    }
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
