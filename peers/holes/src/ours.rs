//! What distlock does where a peer was seen to do otherwise.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use distlock::{ErrorKind, Guard, Locks};
use distlock_testbed::{Proxy, Recipe, Server, Way};
use tokio::time::{sleep, timeout};

/// The name that is locked.
pub(crate) const NAME: &str = "name";
/// Of ours, and of peers that have one and need it short.
pub(crate) const TTL: Duration = Duration::from_secs(3);
/// More than enough for anything that is not a wait for a TTL.
pub(crate) const SOON: Duration = Duration::from_secs(2);
/// For something to begin: to be in line, or under way.
pub(crate) const A_LITTLE: Duration = Duration::from_millis(300);

/// A client by itself.
pub(crate) async fn locks<R: Recipe>(server: &Server<R>) -> Result<Locks> {
    connect(&server.url()).await
}

/// The same through a proxy.
pub(crate) async fn locks_through<R: Recipe>(server: &Server<R>, proxy: &Proxy) -> Result<Locks> {
    connect(&server.url_through(proxy)).await
}

async fn connect(url: &str) -> Result<Locks> {
    let options = match url.starts_with("zookeeper:") {
        // The testbed's own settings.
        true => "&tick_time=200ms&max_session_timeout=60s",
        false => "",
    };
    Ok(distlock::connect(&format!("{url}?ttl={}s{options}", TTL.as_secs())).await?)
}

/// Whether a call that is dropped while its answer is under way leaves the name free.
pub(crate) async fn after_a_dropped_acquire<R: Recipe>(server: &Server<R>) -> Result<String> {
    let proxy = server.proxy().await?;
    let (leaves, stays) = (locks_through(server, &proxy).await?, locks(server).await?);
    // What is set up at the first use is there.
    leaves.lock(NAME).acquire().await?.release().await?;
    proxy.stall(Way::ToClient);
    let dropped = timeout(A_LITTLE, leaves.lock(NAME).acquire()).await;
    ensure!(dropped.is_err(), "it was answered");
    proxy.heal().await?;
    is_free(&stays).await
}

/// How soon a name is free after its guard was dropped on a thread without a runtime.
pub(crate) async fn after_a_dropped_guard<R: Recipe>(server: &Server<R>) -> Result<String> {
    let guard = locks(server).await?.lock(NAME).acquire().await?;
    let drops = std::thread::spawn(move || drop(guard));
    ensure!(drops.join().is_ok(), "it panics");
    is_free(&locks(server).await?).await
}

/// Whether one who gave up waiting is out of the line.
pub(crate) async fn after_a_dropped_waiter<R: Recipe>(server: &Server<R>) -> Result<String> {
    let guard = locks(server).await?.lock(NAME).acquire().await?;
    let waiter = locks(server).await?;
    let dropped = timeout(A_LITTLE, waiter.lock(NAME).acquire()).await;
    ensure!(dropped.is_err(), "two hold");
    guard.release().await?;
    is_free(&locks(server).await?).await
}

/// How soon this name is granted.
pub(crate) async fn is_free(locks: &Locks) -> Result<String> {
    let began = Instant::now();
    let guard = locks.lock(NAME).acquire_within(SOON).await?;
    let took = began.elapsed();
    guard.release().await?;
    Ok(format!("the next is granted after {}", millis(took)))
}

/// What the holder of a lock is told that its store has let go of.
pub(crate) async fn is_told(guard: Guard, locks: &Locks) -> Result<String> {
    let began = Instant::now();
    timeout(TTL, guard.lost()).await.context("it is not told")?;
    let took = began.elapsed();
    let next = locks.lock(NAME).acquire_within(TTL).await?;
    let release = guard.release().await;
    ensure!(
        release.is_err_and(|error| error.kind() == ErrorKind::Lost),
        "its release is said to have done something"
    );
    sleep(A_LITTLE).await;
    ensure!(next.is_held(), "the next has lost it as well");
    next.release().await?;
    Ok(format!(
        "the first is told after {}, and that it releases nothing",
        millis(took)
    ))
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
