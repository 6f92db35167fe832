//! A network that fails at the worst moment.

use std::time::Duration;

use anyhow::{Result, bail};
use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Hold, Patience, Renewal};
use distlock_core::{Deadline, ErrorKind, Mode, Name, Ttl};
use distlock_redis::RedisBackend;
use distlock_testbed::{Proxy, Redis, Server, Way};
use tokio::time::timeout;

use crate::faults::{SOON, acquired, hear, waits};
use crate::locks;

const MINUTE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
pub(crate) async fn asked(claim: &mut Box<dyn Claim>) -> Result<Hold> {
    let (patience, _end) = Patience::unlimited(SOON);
    loop {
        match claim.attempt(&patience).await {
            Ok(Attempt::Held(hold)) => return Ok(hold),
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            other => bail!("{other:?}"),
        }
    }
}

/// One network that breaks once.
struct Fragile {
    proxy: Proxy,
    backend: RedisBackend,
    /// Another way to the same server.
    direct: RedisBackend,
}

impl Fragile {
    fn claim(&self, name: &Name) -> Result<Box<dyn Claim>> {
        let ttl = Ttl::new(MINUTE, self.backend.capabilities())?;
        let request = ClaimRequest::new(name.clone(), Mode::Exclusive, ttl);
        Ok(self.backend.claim(request)?)
    }

    /// Takes a name and gives it back, where the connection breaks after so many bytes of the first
    /// request for one of both, or of its answer.
    async fn breaks(&self, way: Way, bytes: u64, releasing: bool) -> Result<()> {
        let name = Name::new(format!("{way:?}/{bytes}/{releasing}"))?;
        let mut claim = self.claim(&name)?;
        let (patience, _end) = Patience::unlimited(SOON);
        if !releasing {
            self.proxy.break_after(way, bytes);
        }
        let first = claim.attempt(&patience).await;
        self.proxy.heal().await?;
        let hold = asked(&mut claim).await?;
        match first {
            Ok(Attempt::Held(first)) => assert_eq!(first.number, hold.number, "{name:?}"),
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            other => bail!("{name:?}: {other:?}"),
        }
        let state = self.direct.inspect(&name, Deadline::within(SOON)).await?;
        let tokens: Vec<_> = state.holders.iter().map(|it| it.token).collect();
        assert_eq!(tokens.len() + state.waiters.len(), 1, "{state:?}");
        assert_eq!(tokens[0].map(|it| it.number()), Some(hold.number));
        let renewal = claim.renew(Deadline::within(SOON)).await?;
        assert!(matches!(renewal, Renewal::Extended(_)), "{renewal:?}");
        if releasing {
            self.proxy.break_after(way, bytes);
        }
        while let Err(error) = claim.release(Deadline::within(SOON)).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            self.proxy.heal().await?;
        }
        self.proxy.heal().await?;
        let state = self.direct.inspect(&name, Deadline::within(SOON)).await?;
        assert!(state.is_free(), "{state:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_connection_may_break_after_any_byte() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let fragile = Fragile {
        backend: RedisBackend::connect(&server.url_through(&proxy)).await?,
        direct: RedisBackend::connect(&server.url()).await?,
        proxy,
    };
    // How long requests and answers are, once the server knows the scripts.
    let measured = Name::new("measured/0/false")?;
    let mut claim = fragile.claim(&measured)?;
    asked(&mut claim).await?;
    let passed = |way| fragile.proxy.passed(way);
    let before = (passed(Way::ToServer), passed(Way::ToClient));
    asked(&mut claim).await?;
    let request = passed(Way::ToServer) - before.0;
    let answer = passed(Way::ToClient) - before.1;
    for releasing in [false, true] {
        for bytes in 0..=answer {
            fragile.breaks(Way::ToClient, bytes, releasing).await?;
        }
        for bytes in 0..=request {
            fragile.breaks(Way::ToServer, bytes, releasing).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_place_in_line_outlive_a_network_that_is_cut() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (proxy, direct) = (server.proxy().await?, locks(&server.url()).await?);
    let holder = locks(&server.url_through(&proxy)).await?;
    let waiter = locks(&server.url_through(&proxy)).await?;
    let held = holder.lock("x").ttl(MINUTE).acquire().await?;
    let next = acquired(&waiter, "x", MINUTE);
    waits(&direct, "x").await?;
    let last = acquired(&direct, "x", MINUTE);
    while direct.inspect("x").await?.waiters.len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hear(&server, 3).await?;
    proxy.cut().await?;
    hear(&server, 1).await?;
    assert!(held.is_held());
    proxy.heal().await?;
    held.ensure(MINUTE * 9 / 10).await?;
    held.release().await?;
    // In the order in which they came.
    let next = timeout(SOON, next).await???;
    assert!(!last.is_finished());
    next.release().await?;
    timeout(SOON, last).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_grant_that_could_not_be_told_is_found() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (proxy, direct) = (server.proxy().await?, locks(&server.url()).await?);
    let waiter = locks(&server.url_through(&proxy)).await?;
    let held = direct.lock("x").ttl(MINUTE).acquire().await?;
    let next = acquired(&waiter, "x", MINUTE);
    waits(&direct, "x").await?;
    proxy.cut().await?;
    held.release().await?;
    let state = direct.inspect("x").await?;
    assert_eq!(
        (state.holders.len(), state.waiters.len()),
        (1, 0),
        "it is granted"
    );
    assert!(!next.is_finished(), "to one that cannot know");
    proxy.heal().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_slow_network_only_makes_it_slow() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (proxy, direct) = (server.proxy().await?, locks(&server.url()).await?);
    let slow = locks(&server.url_through(&proxy)).await?;
    slow.lock("y").acquire().await?.release().await?;
    for way in [Way::ToServer, Way::ToClient] {
        proxy.throttle(way, 1_000);
    }
    let held = slow.lock("x").ttl(MINUTE).acquire().await?;
    let next = acquired(&direct, "x", MINUTE);
    waits(&direct, "x").await?;
    let again = acquired(&slow, "x", MINUTE);
    held.ensure(MINUTE * 9 / 10).await?;
    held.release().await?;
    timeout(SOON, next).await???.release().await?;
    timeout(SOON, again).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn scripts_may_be_flushed_at_any_time() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let mut contending = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let locks = locks(&server.url()).await?;
        contending.spawn(async move {
            let mut tokens = Vec::new();
            for _ in 0..50 {
                let held = locks.lock("x").acquire().await?;
                tokens.push(held.token());
                held.release().await?;
            }
            Ok::<_, distlock_core::Error>(tokens)
        });
    }
    let mut tokens = Vec::new();
    while !contending.is_empty() {
        let () = server.command(&["SCRIPT", "FLUSH"]).await?;
        while let Some(ended) = contending.try_join_next() {
            tokens.extend(ended??);
        }
    }
    let count = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!((count, tokens.len()), (200, 200));
    let keys: Vec<String> = server.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, ["distlock:{x}"]);
    let fields: Vec<String> = server.command(&["HKEYS", "distlock:{x}"]).await?;
    assert_eq!(fields, ["head"]);
    Ok(())
}
