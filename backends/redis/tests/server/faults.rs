use std::time::Duration;

use anyhow::{Result, bail};
use distlock_core::backend::{Attempt, Backend, ClaimRequest, Patience, Released, Renewal};
use distlock_core::{Deadline, ErrorKind, Guard, Locks, Loss, Mode, Moment, Name, Ttl};
use distlock_redis::RedisBackend;
use distlock_testbed::{Proxy, Redis, RedisPair, Server, Way};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::{TTL, locks};

/// What does not wait for a TTL is done long before this.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Waits until somebody stands in line at the server.
pub(crate) async fn waits(locks: &Locks, name: &str) -> Result<()> {
    let began = Instant::now();
    while locks.inspect(name).await?.waiters.is_empty() {
        if began.elapsed() > SOON {
            bail!("nobody waits for {name}");
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Waits until so many clients have subscribed to what the server tells them.
pub(crate) async fn hear(server: &Server<Redis>, clients: usize) -> Result<()> {
    let began = Instant::now();
    loop {
        let channels: Vec<String> = server.command(&["PUBSUB", "CHANNELS"]).await?;
        if channels.len() == clients {
            return Ok(());
        }
        if began.elapsed() > SOON {
            bail!("heard by {channels:?}");
        }
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn acquired(
    locks: &Locks,
    name: &str,
    ttl: Duration,
) -> JoinHandle<distlock_core::Result<Guard>> {
    tokio::spawn(locks.lock(name).ttl(ttl).acquire())
}

#[tokio::test]
async fn a_hold_outlives_a_flush_of_the_scripts() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    let held = locks.lock("x").acquire().await?;
    let () = server.command(&["SCRIPT", "FLUSH"]).await?;
    held.ensure(TTL * 9 / 10).await?;
    let () = server.command(&["SCRIPT", "FLUSH"]).await?;
    held.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_place_in_line_outlive_their_connections() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let ttl = Duration::from_secs(60);
    let held = one.lock("x").ttl(ttl).acquire().await?;
    let next = acquired(&other, "x", ttl);
    waits(&one, "x").await?;
    let () = server
        .command(&["CLIENT", "KILL", "TYPE", "normal"])
        .await?;
    let () = server
        .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
        .await?;
    // The one that waits subscribes anew by itself: the grant is told, long before it would look.
    hear(&server, 1).await?;
    assert!(held.is_held());
    held.release().await?;
    timeout(SOON / 2, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_hold_outlives_a_network_that_was_silent_for_a_while() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let ttl = Duration::from_secs(12);
    let locks = locks(&server.url_through(&proxy)).await?;
    let held = locks.lock("x").ttl(ttl).acquire().await?;
    proxy.black_hole();
    let unsure = held.ensure(ttl * 99 / 100).await;
    assert!(unsure.is_err() && held.is_held(), "{unsure:?}");
    proxy.heal().await?;
    held.ensure(ttl / 2).await?;
    held.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_silent_network_ends_a_hold_in_time_and_another_gets_it() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let cut_off = locks(&server.url_through(&proxy)).await?;
    let other = locks(&server.url()).await?;
    let held = cut_off.lock("x").acquire().await?;
    let token = held.token();
    proxy.black_hole();
    let next = timeout(SOON, other.lock("x").acquire()).await??;
    assert!(!held.is_held(), "two hold at once");
    assert!(next.token() > token);
    assert_eq!(timeout(SOON, held.lost()).await?, Loss::Expired);
    Ok(())
}

#[tokio::test]
async fn a_server_that_comes_back_with_its_data_still_knows_the_hold() -> Result<()> {
    let recipe = Redis::new()
        .setting("appendonly yes")
        .setting("appendfsync always");
    let server = Server::started(recipe).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let ttl = Duration::from_secs(30);
    let held = one.lock("x").ttl(ttl).acquire().await?;
    let next = acquired(&other, "x", ttl);
    waits(&one, "x").await?;
    server.kill().await?;
    server.start().await?;
    held.ensure(ttl / 2).await?;
    assert!(!next.is_finished());
    let token = held.token();
    held.release().await?;
    let next = timeout(SOON, next).await???;
    assert!(next.token() > token);
    Ok(())
}

#[tokio::test]
async fn a_server_that_lost_its_data_ends_the_hold_and_gives_greater_tokens() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    let held = locks.lock("x").acquire().await?;
    let token = held.token();
    server.restart_empty().await?;
    assert_eq!(timeout(SOON, held.lost()).await?, Loss::Revoked);
    let next = timeout(SOON, locks.lock("x").acquire()).await??;
    assert!(next.token() > token);
    Ok(())
}

#[tokio::test]
async fn what_an_operator_deletes_is_lost_and_tokens_grow_all_the_same() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    for (holders, deletion) in [
        (1, ["DEL", "distlock:{x}"].as_slice()),
        (2, ["DEL", "distlock:{x}"].as_slice()),
        (2, ["DEL", "distlock:{x}:ends"].as_slice()),
        (2, ["FLUSHALL"].as_slice()),
    ] {
        let mut held = Vec::new();
        for _ in 0..holders {
            held.push(locks.rw_lock("x").read().await?);
        }
        let () = server.command(deletion).await?;
        for held in &held {
            let loss = timeout(SOON, held.lost()).await?;
            assert_eq!(loss, Loss::Revoked, "{holders} {deletion:?}");
        }
        let next = timeout(SOON, locks.lock("x").acquire()).await??;
        let greatest = held.iter().map(Guard::token).max();
        assert!(Some(next.token()) > greatest, "{holders} {deletion:?}");
        next.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_remains_of_a_deleted_record_holds_nobody_up() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    // Nobody looks by himself before the test is over.
    let ttl = Duration::from_secs(600);
    let gone = [
        one.rw_lock("x").ttl(ttl).read().await?,
        one.rw_lock("x").ttl(ttl).read().await?,
    ];
    let () = server.command(&["DEL", "distlock:{x}"]).await?;
    let held = timeout(SOON, one.lock("x").ttl(ttl).acquire()).await??;
    let next = acquired(&other, "x", ttl);
    waits(&one, "x").await?;
    held.release().await?;
    timeout(SOON, next).await???.release().await?;
    for gone in gone {
        let error = gone.release().await.expect_err("it was forgotten");
        assert_eq!(error.kind(), ErrorKind::Lost);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_past_the_ttl_ends_the_hold() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let held = one.lock("x").acquire().await?;
    let token = held.token();
    server.pause().await?;
    assert_eq!(timeout(SOON, held.lost()).await?, Loss::Expired);
    server.resume().await?;
    let next = timeout(SOON, other.lock("x").acquire()).await??;
    assert!(next.token() > token);
    Ok(())
}

#[tokio::test]
async fn a_promoted_replica_gives_greater_tokens() -> Result<()> {
    let pair = RedisPair::started(Redis::new).await?;
    let old = locks(&pair.primary.url()).await?;
    let held = old.lock("x").acquire().await?;
    let token = held.token();
    pair.primary.kill().await?;
    pair.promote().await?;
    let new = locks(&pair.replica.url()).await?;
    assert_eq!(timeout(SOON, held.lost()).await?, Loss::Expired);
    let next = timeout(SOON, new.lock("x").acquire()).await??;
    assert!(next.token() > token);
    Ok(())
}

/// The replica has never heard of the grant, so the lock is given twice: what Redis cannot help, and
/// tokens are for.
#[tokio::test]
async fn a_failover_that_forgets_a_grant_gives_a_greater_token() -> Result<()> {
    let primary = Server::started(Redis::new()).await?;
    let link = Proxy::started(primary.address()).await?;
    let replica = Server::started(Redis::new().replica_of(link.address())).await?;
    let pair = RedisPair { primary, replica };
    pair.linked().await?;
    link.black_hole();
    let old = locks(&pair.primary.url()).await?;
    let held = old.lock("x").acquire().await?;
    pair.promote().await?;
    let new = locks(&pair.replica.url()).await?;
    let next = timeout(SOON, new.lock("x").acquire()).await??;
    assert!(held.is_held(), "its server still serves");
    assert!(next.token() > held.token());
    pair.primary.kill().await?;
    assert_eq!(timeout(SOON, held.lost()).await?, Loss::Expired);
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_for_a_moment_ends_nothing() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("x").acquire().await?;
    let next = tokio::spawn(other.lock("x").acquire());
    waits(&one, "x").await?;
    server.pause().await?;
    sleep(TTL / 3).await;
    server.resume().await?;
    guard.ensure(TTL / 2).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn what_comes_late_of_a_claim_that_has_left_comes_to_nothing() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (slow_way, way) = (server.proxy().await?, server.proxy().await?);
    let slow = RedisBackend::connect(&server.url_through(&slow_way)).await?;
    let backend = RedisBackend::connect(&server.url_through(&way)).await?;
    let ttl = Ttl::new(Duration::from_secs(60), backend.capabilities())?;
    // The server has the scripts, so that what is asked is done although no answer comes.
    let locks = Locks::new(backend.clone())?;
    locks.lock("other").acquire().await?.release().await?;
    // One claim, whose first request is on its way over a connection that it has given up.
    let request = ClaimRequest::new(Name::new("x")?, Mode::Exclusive, ttl);
    let mut slow_claim = slow.claim(request.clone())?;
    let mut claim = backend.claim(request)?;
    let (patience, _end) = Patience::unlimited(Duration::from_millis(500));
    slow_way.stall(Way::ToServer);
    assert!(slow_claim.attempt(&patience).await.is_err());
    way.stall(Way::ToClient);
    assert!(claim.attempt(&patience).await.is_err());
    way.heal().await?;
    let released = claim.release(Deadline::within(SOON)).await?;
    assert_eq!(
        released,
        Released::Held,
        "its answer was lost, not the request"
    );
    slow_way.heal().await?;
    // Answered after what was sent before it.
    let state = slow
        .inspect(&Name::new("x")?, Deadline::within(SOON))
        .await?;
    assert!(state.is_free(), "{state:?}");
    Ok(())
}

#[tokio::test]
async fn a_hold_is_dated_from_before_it_was_asked_for() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let backend = RedisBackend::connect(&server.url_through(&proxy)).await?;
    let ttl = Ttl::new(Duration::from_secs(60), backend.capabilities())?;
    let mut claim = backend.claim(ClaimRequest::new(Name::new("x")?, Mode::Exclusive, ttl))?;
    let (patience, _end) = Patience::unlimited(SOON);
    let delay = Duration::from_secs(1);
    proxy.delay(Way::ToClient, delay);
    let Attempt::Held(hold) = claim.attempt(&patience).await? else {
        bail!("a free lock was not granted");
    };
    // Half of what the answer took: the machine may have been slow to send the request.
    assert!(hold.as_of.elapsed() >= delay / 2, "{hold:?}");
    let asked = Moment::now();
    let Renewal::Extended(as_of) = claim.renew(Deadline::within(SOON)).await? else {
        bail!("a hold was lost");
    };
    assert!(as_of.since(asked) < delay / 2, "renewed as of {as_of:?}");
    claim.release(Deadline::within(SOON)).await?;
    Ok(())
}

#[tokio::test]
async fn a_claim_that_was_made_anew_is_not_the_hold_that_was_lost() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let backend = RedisBackend::connect(&server.url()).await?;
    let ttl = Ttl::new(Duration::from_secs(60), backend.capabilities())?;
    let request = ClaimRequest::new(Name::new("x")?, Mode::Exclusive, ttl);
    let (mut claim, mut late) = (backend.claim(request.clone())?, backend.claim(request)?);
    let (patience, _end) = Patience::unlimited(SOON);
    assert!(matches!(claim.attempt(&patience).await?, Attempt::Held(_)));
    let () = server.command(&["FLUSHALL"]).await?;
    // A request of the same claim that comes late finds a server without data.
    assert!(matches!(late.attempt(&patience).await?, Attempt::Held(_)));
    let renewal = claim.renew(Deadline::within(SOON)).await?;
    assert!(matches!(renewal, Renewal::Lost), "{renewal:?}");
    Ok(())
}

#[tokio::test]
async fn a_grant_of_another_place_is_none() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let backend = RedisBackend::connect(&server.url()).await?;
    let ttl = Ttl::new(Duration::from_secs(60), backend.capabilities())?;
    let request = |mode| Ok::<_, anyhow::Error>(ClaimRequest::new(Name::new("x")?, mode, ttl));
    let mut holder = backend.claim(request(Mode::Exclusive)?)?;
    let waiting = request(Mode::Shared)?;
    let id = waiting.id;
    let mut waiter = backend.claim(waiting)?;
    let (patience, _end) = Patience::unlimited(SOON);
    assert!(matches!(holder.attempt(&patience).await?, Attempt::Held(_)));
    assert!(matches!(
        waiter.attempt(&patience).await?,
        Attempt::Blocked(_)
    ));
    // As told late, of a place that it had before its client was stopped past its TTL.
    let channels: Vec<String> = server.command(&["PUBSUB", "CHANNELS"]).await?;
    let told = format!("{id:032x} 7 9");
    let heard: u32 = server.command(&["PUBLISH", &channels[0], &told]).await?;
    assert_eq!(heard, 1);
    // Told before it is answered, on the same connection.
    backend
        .inspect(&Name::new("x")?, Deadline::within(SOON))
        .await?;
    assert!(matches!(
        waiter.attempt(&patience).await?,
        Attempt::Blocked(_)
    ));
    Ok(())
}
