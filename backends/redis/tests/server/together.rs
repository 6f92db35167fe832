//! What many ask at one moment, which goes out together.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Patience, Released};
use distlock_core::{Deadline, ErrorKind, FencingToken, Locks, Mode, Name, Ttl};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server, Way};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::faults::SOON;
use crate::locks;
use crate::refusals::assert_told;

const MANY: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);

fn claim(backend: &RedisBackend, name: &str) -> Result<Box<dyn Claim>> {
    let ttl = Ttl::new(MINUTE, backend.capabilities())?;
    let name = Name::new(name)?;
    Ok(backend.claim(ClaimRequest::new(name, Mode::Exclusive, ttl))?)
}

/// Takes a name and gives it back, again and again.
async fn tokens(
    locks: Locks,
    name: String,
    count: usize,
) -> distlock_core::Result<Vec<FencingToken>> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        let held = locks.lock(&*name).acquire().await?;
        tokens.push(held.token());
        held.release().await?;
    }
    Ok(tokens)
}

/// How many scripts the server has run since its figures were reset.
async fn scripts(server: &Server<Redis>) -> Result<usize> {
    let stats: String = server.command(&["INFO", "commandstats"]).await?;
    let calls = stats.lines().find_map(|line| {
        let rest = line.strip_prefix("cmdstat_evalsha:calls=")?;
        rest.split(',').next()?.parse().ok()
    });
    calls.context("no script was run")
}

#[tokio::test]
async fn what_fails_for_one_name_fails_for_no_other() -> Result<()> {
    const ROUNDS: usize = 20;
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    let foreign = ["distlock:{7}", "distlock:{11}:ends"];
    for key in foreign {
        let () = server.command(&["SET", key, "mine"]).await?;
    }
    let damaged = "x".repeat(200);
    let () = server
        .command(&["HSET", "distlock:{9}", "head", &damaged])
        .await?;
    let () = server.command(&["CONFIG", "RESETSTAT"]).await?;
    let mut asking = JoinSet::new();
    for number in 0..MANY {
        let locks = locks.clone();
        asking.spawn(async move {
            let mut outcomes = Vec::new();
            for _ in 0..ROUNDS {
                outcomes.push(tokens(locks.clone(), number.to_string(), 1).await);
            }
            (number, outcomes)
        });
    }
    for (number, outcomes) in asking.join_all().await {
        for outcome in outcomes {
            match (number, outcome) {
                (7, Err(error)) => {
                    assert_told(&error, ErrorKind::Unexpected, "another namespace");
                }
                (9, Err(error)) => assert_told(&error, ErrorKind::Unexpected, "damaged"),
                (7 | 9, Ok(_)) => bail!("{number} was granted"),
                (_, outcome) => drop(outcome.with_context(|| number.to_string())?),
            }
        }
    }
    for key in foreign {
        let value: String = server.command(&["GET", key]).await?;
        assert_eq!(value, "mine");
    }
    let head: String = server.command(&["HGET", "distlock:{9}", "head"]).await?;
    assert_eq!(head, damaged);
    let scripts = scripts(&server).await?;
    assert!(
        scripts < MANY * ROUNDS,
        "{scripts}: they went out one by one"
    );
    Ok(())
}

#[tokio::test]
async fn a_connection_may_break_within_what_goes_out_together() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let fragile = RedisBackend::connect(&server.url_through(&proxy)).await?;
    let direct = RedisBackend::connect(&server.url()).await?;
    let bytes = [0, 1, 20, 100, 400, 700, 1_000, 2_000, 4_000, 8_000, 12_000];
    for (way, bytes) in [Way::ToServer, Way::ToClient]
        .into_iter()
        .flat_map(|way| bytes.map(|bytes| (way, bytes)))
    {
        let mut asking = JoinSet::new();
        proxy.break_after(way, bytes);
        for number in 0..MANY {
            let name = format!("{way:?}/{bytes}/{number}");
            let mut claim = claim(&fragile, &name)?;
            asking.spawn(async move {
                let (patience, _end) = Patience::unlimited(SOON);
                let first = claim.attempt(&patience).await;
                (name, claim, first)
            });
        }
        // All are told at once that it broke, long before their time is over.
        let asked = timeout(SOON / 2, asking.join_all()).await?;
        proxy.heal().await?;
        for (name, mut claim, first) in asked {
            let hold = crate::network::asked(&mut claim).await?;
            match first {
                Ok(Attempt::Held(first)) => assert_eq!(first.number, hold.number, "{name}"),
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                other => bail!("{name}: {other:?}"),
            }
            let its = Name::new(&*name)?;
            let state = direct.inspect(&its, Deadline::within(SOON)).await?;
            assert!(state.waiters.is_empty(), "{name}: {state:?}");
            let tokens: Vec<_> = state.holders.iter().map(|it| it.token).collect();
            let numbers: Vec<_> = tokens.iter().flatten().map(|it| it.number()).collect();
            assert_eq!(numbers, [hold.number], "{name}");
            let released = claim.release(Deadline::within(SOON)).await?;
            assert_eq!(released, Released::Held, "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn scripts_may_be_flushed_while_many_ask() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    let mut asking = JoinSet::new();
    for number in 0..MANY {
        asking.spawn(tokens(locks.clone(), number.to_string(), 50));
    }
    let mut done = 0;
    while !asking.is_empty() {
        let () = server.command(&["SCRIPT", "FLUSH"]).await?;
        while let Some(tokens) = asking.try_join_next() {
            let tokens = tokens??;
            assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
            done += tokens.len();
        }
    }
    assert_eq!(done, MANY * 50);
    Ok(())
}

#[tokio::test]
async fn a_full_server_takes_none_of_many_new_claims() -> Result<()> {
    let server = Server::started(Redis::new().setting("maxmemory-policy noeviction")).await?;
    let backend = RedisBackend::connect(&server.url()).await?;
    let (patience, _end) = Patience::unlimited(SOON);
    let mut held = Vec::new();
    for number in 0..MANY {
        let mut claim = claim(&backend, &format!("held/{number}"))?;
        claim.attempt(&patience).await?;
        held.push(claim);
    }
    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]).await?;
    let mut asking = JoinSet::new();
    for (number, mut held) in held.into_iter().enumerate() {
        let mut new = claim(&backend, &format!("new/{number}"))?;
        asking.spawn(async move {
            let released = held.release(Deadline::within(SOON)).await?;
            assert_eq!(released, Released::Held);
            anyhow::Ok(())
        });
        asking.spawn(async move {
            let (patience, _end) = Patience::unlimited(SOON);
            let error = new.attempt(&patience).await.expect_err("at a full server");
            assert_told(&error, ErrorKind::Unavailable, "memory is full");
            anyhow::Ok(())
        });
    }
    for asked in asking.join_all().await {
        asked?;
    }
    Ok(())
}

#[tokio::test]
async fn who_gives_up_takes_nobody_along() -> Result<()> {
    const SHORT: Duration = Duration::from_millis(200);
    let server = Server::started(Redis::new()).await?;
    let proxy = server.proxy().await?;
    let backend = RedisBackend::connect(&server.url_through(&proxy)).await?;
    let connection = || async {
        let client: String = server
            .command(&["CLIENT", "LIST", "TYPE", "pubsub"])
            .await?;
        let id = client.split(' ').next();
        anyhow::Ok(id.context("no connection")?.to_owned())
    };
    let before = connection().await?;
    proxy.stall(Way::ToClient);
    let attempt = |number: usize, limit| {
        let mut claim = claim(&backend, &number.to_string())?;
        anyhow::Ok(async move {
            let (patience, _end) = Patience::unlimited(limit);
            claim.attempt(&patience).await
        })
    };
    let (mut hasty, mut patient) = (JoinSet::new(), JoinSet::new());
    for number in 0..MANY {
        hasty.spawn(attempt(number, SHORT)?);
        // Some go out with those who have more time, some among themselves.
        if number < MANY / 4 {
            patient.spawn(attempt(MANY + number, SOON)?);
        }
    }
    for outcome in hasty.join_all().await {
        let error = outcome.expect_err("it was not answered");
        assert_told(&error, ErrorKind::Unavailable, "did not answer within");
    }
    proxy.heal().await?;
    for outcome in timeout(SOON, patient.join_all()).await? {
        assert!(matches!(outcome?, Attempt::Held(_)));
    }
    assert_eq!(before, connection().await?, "a slow answer breaks nothing");
    Ok(())
}

#[test]
fn a_runtime_that_ends_holds_up_nobody_elsewhere() -> Result<()> {
    let (others, ours) = (Runtime::new()?, Runtime::new()?);
    let server = others.block_on(Server::started(Redis::new()))?;
    // Its tasks do not run once it has connected.
    let theirs = Builder::new_current_thread().enable_all().build()?;
    let backend = theirs.block_on(RedisBackend::connect(&server.url()))?;
    let mut asking = JoinSet::new();
    for number in 0..MANY {
        let mut claim = claim(&backend, &number.to_string())?;
        let mut asked = Box::pin(async move {
            let (patience, _end) = Patience::unlimited(SOON);
            claim.attempt(&patience).await
        });
        ours.block_on(async {
            let now = std::future::ready(());
            tokio::select! { biased; _ = &mut asked => bail!("who answered?"), () = now => Ok(()) }
        })?;
        asking.spawn_on(asked, ours.handle());
    }
    drop(theirs);
    let all = ours.block_on(async { timeout(SOON / 2, asking.join_all()).await })?;
    for outcome in all {
        let error = outcome.expect_err("it was never asked");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let locks = ours.block_on(async { Locks::new(backend) })?;
    ours.block_on(tokens(locks, "x".to_owned(), 1))?;
    Ok(())
}
