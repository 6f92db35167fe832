//! `rslock`: Redis, one server or several.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use distlock::ErrorKind;
use distlock_testbed::{Redis, Server};
use rslock::LockManager;
use tokio::time::{sleep, timeout};

use crate::hole::{Peer, Seen, hole};
use crate::ours::{NAME, SOON, locks, millis};
use crate::panics::panics_during;

/// Of holds that nobody waits for.
const LONG: Duration = Duration::from_secs(60);

pub(crate) const PEER: Peer = Peer {
    package: "rslock",
    version: "0.10.0",
    holes: &[
        hole!(
            using_is_ok_although_another_held,
            IsSilent,
            "`using` says so if the lock was lost while its routine ran"
        ),
        hole!(
            acquire_never_ends_without_a_server,
            Warns,
            "`acquire` tells that no server can be reached, as its `Result` can"
        ),
        hole!(
            a_retry_delay_of_zero_panics,
            IsSilent,
            "`set_retry` takes a delay of zero for none"
        ),
        hole!(
            is_freed_is_never_true,
            Promises,
            "`is_freed` is `Ok(true)` for a lock that was released"
        ),
    ],
};

fn manager(server: &Server<Redis>) -> LockManager {
    LockManager::new(vec![server.url()])
}

/// Its routine keeps the thread for longer than the TTL, as a machine does that stands still.
async fn using_is_ok_although_another_held() -> Result<Seen> {
    const SHORT: Duration = Duration::from_millis(800);
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (manager(&server), manager(&server));
    let began = Instant::now();
    let another = tokio::spawn(async move {
        sleep(SHORT + Duration::from_millis(50)).await;
        let lock = other.lock(NAME, SHORT).await;
        lock.map(|_| began.elapsed())
    });
    let used = one.using(NAME.as_bytes(), SHORT, async || {
        thread::sleep(2 * SHORT);
        began.elapsed()
    });
    let (used, another) = (used.await, another.await?);
    let is_shown = matches!((&used, &another), (Ok(ended), Ok(granted)) if granted < ended);
    let figures = format!(
        "with a TTL of {SHORT:?}, another is granted after {another:.1?}, and `using` says of a \
         routine that ended after that: {used:.1?}"
    );
    let seen = Seen::of_peer(is_shown, figures);

    let (one, other) = (locks(&server).await?, locks(&server).await?);
    let other = other.lock("ours").ttl(SHORT);
    let another = tokio::spawn(async move {
        sleep(SHORT + Duration::from_millis(50)).await;
        other.try_acquire().await
    });
    let lock = one.lock("ours").ttl(SHORT);
    let run = lock.run(async |_| thread::sleep(2 * SHORT)).await;
    let another = another.await??;
    ensure!(run.is_err() || another.is_none(), "two hold");
    Ok(seen.beside_ours(match run {
        Ok(()) => "renewed all along, by another thread; the other is refused".to_owned(),
        Err(error) => format!("told: {error}"),
    }))
}

/// It "loops until the lock is acquired", whatever the error.
async fn acquire_never_ends_without_a_server() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let (manager, ours) = (manager(&server), locks(&server).await?);
    server.kill().await?;
    let acquired = timeout(2 * SOON, manager.acquire(NAME, Duration::from_secs(1))).await;
    let seen = Seen::of_peer(
        acquired.is_err(),
        format!("no answer within {:?}", 2 * SOON),
    );

    let began = Instant::now();
    let refused = ours.lock(NAME).ttl(Duration::from_secs(1)).acquire().await;
    let kind = refused.err().context("it is granted")?.kind();
    ensure!(kind == ErrorKind::Unavailable, "{kind:?}");
    let after = millis(began.elapsed());
    Ok(seen.beside_ours(format!("{kind:?} after {after}")))
}

async fn a_retry_delay_of_zero_panics() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let mut manager = manager(&server);
    manager.set_retry(2, Duration::ZERO);
    manager.lock(NAME, LONG).await?;
    let attempt = tokio::spawn(async move { manager.lock(NAME, LONG).await.map(drop) });
    let (attempt, panics) = panics_during(attempt).await;
    let is_shown = attempt.is_err_and(|error| error.is_panic());
    Ok(Seen::of_peer(is_shown, format!("panic: {panics:?}")))
}

async fn is_freed_is_never_true() -> Result<Seen> {
    let server = Server::started(Redis::new()).await?;
    let manager = manager(&server);
    let lock = manager.lock(NAME, LONG).await?;
    manager.unlock(&lock).await;
    let gone = manager.is_freed(&lock).await;
    let next = manager.lock(NAME, LONG).await?;
    let taken = manager.is_freed(&lock).await;
    manager.unlock(&next).await;
    Ok(Seen::of_peer(
        gone.is_err() && taken.is_err(),
        format!("after its release: {gone:?}; when another holds: {taken:?}"),
    ))
}
