//! A network that fails at the worst moment.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Hold, Patience, Renewal};
use distlock_core::{Deadline, ErrorKind, Locks, Loss, Mode, Moment, Name, Ttl};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Proxy, Way};
use tokio::time::{sleep, timeout};

use crate::{NAMES, SOON, TTL, acquired, becomes, locks, server, waiting};

fn claim(backend: &PostgresBackend, name: &str, ttl: Duration) -> Result<Box<dyn Claim>> {
    let ttl = Ttl::new(ttl, backend.capabilities())?;
    let request = ClaimRequest::new(Name::new(name)?, Mode::Exclusive, ttl);
    Ok(backend.claim(request)?)
}

/// Asks until there is an answer.
async fn asked(claim: &mut Box<dyn Claim>) -> Result<Hold> {
    let (patience, _end) = Patience::unlimited(SOON);
    loop {
        match claim.attempt(&patience).await {
            Ok(Attempt::Held(hold)) => return Ok(hold),
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            other => bail!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_silent_network_ends_a_hold_in_time_and_another_gets_it() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let other = locks(&server.url()).await?;
    let guard = cut_off.lock("a").acquire().await?;
    proxy.black_hole();
    let next = timeout(TTL + SOON, other.lock("a").acquire()).await??;
    assert!(!guard.is_held(), "two hold at once");
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_hold_outlives_a_network_that_was_silent_for_a_while() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    let guard = locks.lock("a").acquire().await?;
    proxy.black_hole();
    sleep(TTL / 2).await;
    assert!(guard.is_held());
    proxy.heal().await?;
    guard.ensure(TTL / 2).await?;
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_cut_connection_is_a_loss_at_once() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let locks = locks(&server.url_through(&proxy)).await?;
    let guard = locks.lock("a").acquire().await?;
    proxy.cut().await?;
    assert_eq!(timeout(TTL / 4, guard.lost()).await?, Loss::Revoked);
    proxy.heal().await?;
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_waiter_outlasts_a_network_that_is_cut_and_holds_up_nobody() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let first = acquired(&cut_off, "a");
    waiting(&one, "a", 1).await?;
    let second = acquired(&two, "a");
    waiting(&one, "a", 2).await?;
    proxy.cut().await?;
    // The server looks now and then whether the client is there, while it waits.
    timeout(TTL / 2, waiting(&one, "a", 1)).await??;
    guard.release().await?;
    let second = timeout(SOON, second).await???;
    proxy.heal().await?;
    waiting(&one, "a", 1).await?;
    second.release().await?;
    timeout(SOON, first).await???.release().await?;
    Ok(())
}

/// Nobody waits behind it, who would end it.
#[tokio::test]
async fn nothing_stays_of_a_waiter_that_is_cut_off() -> Result<()> {
    const WAITERS: &str = "select count(*) from pg_stat_activity \
                           where application_name like 'distlock waiting%'";
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks(&server.url()).await?;
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let _waits = acquired(&cut_off, "a");
    waiting(&one, "a", 1).await?;
    proxy.cut().await?;
    timeout(TTL / 2, becomes(&server, WAITERS, 0)).await??;
    assert!(guard.is_held());
    Ok(())
}

/// What it was granted meanwhile is nobody's, and free before its TTL is over twice.
#[tokio::test]
async fn a_grant_to_a_waiter_that_is_cut_off_is_no_hold() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks(&server.url()).await?;
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let first = acquired(&cut_off, "a");
    waiting(&one, "a", 1).await?;
    proxy.black_hole();
    let silent = Moment::now();
    guard.release().await?;
    let second = timeout(SOON, one.lock("a").acquire()).await??;
    let took = silent.elapsed();
    assert!(took < TTL + TTL / 2, "after {took:?}, as if begun anew");
    let error = timeout(SOON, first).await??.expect_err("two hold at once");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    proxy.heal().await?;
    assert!(second.is_held());
    second.release().await?;
    becomes(&server, NAMES, 0).await
}

/// A try is told by nobody who waits that the one in the way is dead.
#[tokio::test]
async fn a_grant_to_a_waiter_that_is_cut_off_stops_no_try_for_long() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks(&server.url()).await?;
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let guard = one.lock("a").acquire().await?;
    let _waits = acquired(&cut_off, "a");
    waiting(&one, "a", 1).await?;
    sleep(TTL / 2).await;
    proxy.black_hole();
    let silent = Moment::now();
    sleep(TTL * 3 / 4).await;
    guard.release().await?;
    assert!(!one.inspect("a").await?.is_free(), "it is granted");
    let granted = async {
        while one.lock("a").try_acquire().await?.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(SOON, granted).await??;
    let took = silent.elapsed();
    assert!(took < TTL + TTL / 2, "after {took:?}, as if begun anew");
    Ok(())
}

/// One network that breaks once.
struct Fragile {
    proxy: Proxy,
    backend: PostgresBackend,
    /// Another way to the same server.
    direct: PostgresBackend,
}

impl Fragile {
    /// Takes a name and gives it back, where the connection breaks after so many bytes of what is
    /// sent for one of both, or of what is answered.
    async fn breaks(&self, way: Way, bytes: u64, releasing: bool) -> Result<()> {
        let name = Name::new(format!("{way:?}/{bytes}/{releasing}"))?;
        let mut claim = claim(&self.backend, name.as_str(), Duration::from_secs(60))?;
        let (patience, _end) = Patience::unlimited(SOON);
        if !releasing {
            self.proxy.break_after(way, bytes);
        }
        let first = claim.attempt(&patience).await;
        self.proxy.heal().await?;
        match first {
            Ok(Attempt::Held(_)) => {}
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            other => bail!("{name:?}: {other:?}"),
        }
        let hold = asked(&mut claim).await?;
        let state = self.direct.inspect(&name, Deadline::within(SOON)).await?;
        assert_eq!(
            (state.holders.len(), state.waiters.len()),
            (1, 0),
            "{name:?}"
        );
        assert!(hold.as_of.elapsed() < SOON);
        if releasing {
            self.proxy.break_after(way, bytes);
        }
        while let Err(error) = claim.release(Deadline::within(SOON)).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            self.proxy.heal().await?;
        }
        self.proxy.heal().await?;
        let state = self.direct.inspect(&name, Deadline::within(SOON)).await?;
        assert!(state.is_free(), "{name:?}: {state:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_connection_may_break_after_any_byte() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let fragile = Fragile {
        backend: PostgresBackend::connect(&server.url_through(&proxy)).await?,
        direct: PostgresBackend::connect(&server.url()).await?,
        proxy,
    };
    // How long requests and answers are, once the server has prepared the statement.
    let mut measured = claim(&fragile.backend, "measured", Duration::from_secs(60))?;
    asked(&mut measured).await?;
    measured.release(Deadline::within(SOON)).await?;
    let mut measured = claim(&fragile.backend, "measured", Duration::from_secs(60))?;
    let passed = |way| fragile.proxy.passed(way);
    let before = (passed(Way::ToServer), passed(Way::ToClient));
    asked(&mut measured).await?;
    let request = passed(Way::ToServer) - before.0;
    let answer = passed(Way::ToClient) - before.1;
    for releasing in [false, true] {
        for bytes in (0..=answer).step_by(3) {
            fragile.breaks(Way::ToClient, bytes, releasing).await?;
        }
        for bytes in (0..=request).step_by(3) {
            fragile.breaks(Way::ToServer, bytes, releasing).await?;
        }
    }
    Ok(())
}

/// On the way to a grant by waiting: the look that finds it held, the wait, and the number.
#[tokio::test]
async fn a_connection_may_break_while_its_client_waits() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let one = locks(&server.url()).await?;
    let fragile = locks(&server.url_through(&proxy)).await?;
    for (round, way) in (0..24).zip([Way::ToClient, Way::ToServer].into_iter().cycle()) {
        let guard = one.lock("a").acquire().await?;
        let next = acquired(&fragile, "a");
        waiting(&one, "a", 1).await?;
        proxy.break_after(way, round * 8);
        guard.release().await?;
        let next = timeout(SOON, next).await;
        let next = next.with_context(|| format!("round {round}"))???;
        proxy.heal().await?;
        assert!(next.is_held());
        // It may have been lost with the connection that broke, but never without a word.
        drop(next);
        timeout(SOON, fragile.settle()).await?;
        let free = timeout(SOON, one.lock("a").acquire()).await??;
        free.release().await?;
    }
    becomes(&server, NAMES, 0).await
}

#[tokio::test]
async fn a_slow_network_only_makes_it_slow() -> Result<()> {
    let server = server().await?;
    let (proxy, direct) = (server.proxy().await?, locks(&server.url()).await?);
    let backend = PostgresBackend::connect(&server.url_through(&proxy)).await?;
    let ttl = Duration::from_secs(60);
    let slow = Locks::builder().ttl(ttl).build(backend)?;
    for way in [Way::ToServer, Way::ToClient] {
        proxy.throttle(way, 4_000);
    }
    let guard = slow.lock("a").acquire().await?;
    let next = acquired(&direct, "a");
    waiting(&direct, "a", 1).await?;
    let again = acquired(&slow, "a");
    guard.ensure(Duration::from_secs(30)).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    timeout(SOON, again).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_hold_is_dated_from_before_it_was_asked_for() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let backend = PostgresBackend::connect(&server.url_through(&proxy)).await?;
    let mut claim = claim(&backend, "a", Duration::from_secs(60))?;
    let delay = Duration::from_secs(1);
    proxy.delay(Way::ToClient, delay);
    let hold = asked(&mut claim).await?;
    // Half of what the answer took: the machine may have been slow to send the request.
    assert!(hold.as_of.elapsed() >= delay / 2, "{hold:?}");
    let (mut held, renewing) = (hold.as_of, Moment::now());
    while renewing.elapsed() < 2 * delay {
        let Renewal::Extended(as_of) = claim.renew(Deadline::within(SOON)).await? else {
            bail!("a hold was lost");
        };
        assert!(as_of >= held && as_of.elapsed() >= delay / 2, "{as_of:?}");
        held = as_of;
    }
    assert!(held.since(renewing) > Duration::ZERO, "never renewed");
    claim.release(Deadline::within(SOON)).await?;
    Ok(())
}

/// Of a lock that is free, and of one to wait for.
#[tokio::test]
async fn a_request_that_comes_late_leaves_nothing() -> Result<()> {
    let server = server().await?;
    let proxy = server.proxy().await?;
    let (other, locks) = (
        locks(&server.url()).await?,
        locks(&server.url_through(&proxy)).await?,
    );
    let taken = other.lock("taken").acquire().await?;
    let beside = locks.lock("beside").acquire().await?;
    for name in ["free", "taken"].into_iter().cycle().take(20) {
        proxy.stall(Way::ToServer);
        let acquire = locks.lock(name).acquire_within(Duration::from_millis(20));
        let error = acquire.await.expect_err("a lock");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        proxy.heal().await?;
        timeout(SOON, locks.settle()).await?;
        becomes(&server, NAMES, 2).await?;
    }
    sleep(TTL).await;
    becomes(&server, NAMES, 2).await?;
    assert!(taken.is_held() && beside.is_held());
    Ok(())
}

/// Its session is kept alive for another.
#[tokio::test]
async fn a_lock_that_nobody_answers_for_is_given_back_at_a_heartbeat() -> Result<()> {
    let server = server().await?;
    let backend = PostgresBackend::connect(&server.url()).await?;
    let locks = Locks::builder().ttl(TTL).build(backend.clone())?;
    let guard = locks.lock("neighbour").acquire().await?;
    let mut forgotten = claim(&backend, "a", TTL)?;
    let held = forgotten.attempt(&Patience::none(SOON)).await?;
    assert!(matches!(held, Attempt::Held(_)));
    becomes(&server, NAMES, 2).await?;
    drop(forgotten);
    becomes(&server, NAMES, 1).await?;
    assert!(guard.is_held());
    Ok(())
}
