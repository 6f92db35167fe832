use std::error::Error as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use distlock_core::backend::{Attempt, Backend, ClaimRequest, Patience, Released};
use distlock_core::{Error, ErrorKind, Mode, Name, Ttl};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, RedisCluster, RedisPair, RedisSentinels, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::locks;

/// In each URL and each server's settings.
pub(crate) const PASSWORD: &str = "hunter2";

/// That an error is of this kind, says this, and tells no password, nor does any that caused it.
#[track_caller]
pub(crate) fn assert_told(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part), "{error}");
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        told += &format!("{cause} {cause:?}");
        source = cause.source();
    }
    assert!(!told.contains(PASSWORD), "{told}");
}

async fn refused(url: &str) -> Error {
    RedisBackend::connect(url).await.expect_err(url)
}

fn with_user(server: &Server<Redis>, user: &str) -> String {
    let address = server.address();
    format!("redis://{user}:{PASSWORD}@{address}")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    server.kill().await?;
    let error = refused(&with_user(&server, "")).await;
    assert_told(&error, ErrorKind::Unavailable, "cannot be reached");
    Ok(())
}

#[tokio::test]
async fn a_url_that_is_none_is_invalid() {
    for url in [
        "",
        "redis:",
        "http://user:hunter2@host/",
        "redis://:hunter2@host/db",
    ] {
        assert_told(&refused(url).await, ErrorKind::InvalidInput, "");
    }
}

#[tokio::test]
async fn a_wrong_password_is_unauthorized() -> Result<()> {
    let server = Server::started(Redis::new().password("correct")).await?;
    for url in [
        with_user(&server, ""),
        with_user(&server, "nobody"),
        format!("redis://{}", server.address()),
    ] {
        assert_told(&refused(&url).await, ErrorKind::Unauthorized, "refused");
    }
    locks(&server.url()).await?;
    Ok(())
}

#[tokio::test]
async fn a_user_without_the_rights_is_told_which() -> Result<()> {
    let rights = [
        ("nochannel", "~* +@all"),
        ("noscript", "~* &* +@all -@scripting"),
        ("nokeys", "~other:* &* +@all"),
        ("nowrite", "~* &* +@all -hset"),
    ];
    let recipe = rights.iter().fold(Redis::new(), |recipe, (user, rights)| {
        recipe.setting(&format!(
            "user {user} on >{PASSWORD} resetchannels {rights}"
        ))
    });
    let server = Server::started(recipe).await?;
    for (user, _) in rights {
        let url = with_user(&server, user);
        let error = match locks(&url).await {
            Err(error) => error.downcast::<Error>()?,
            Ok(locks) => locks.lock("x").acquire().await.expect_err(user),
        };
        assert_told(&error, ErrorKind::Unauthorized, "&distlock:*");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_with_the_rights_that_are_told_is_let_in() -> Result<()> {
    let rights = "~distlock:* &distlock:* +@read +@write +@scripting +@pubsub +@connection +time";
    let recipe = Redis::new().setting(&format!(
        "user locker on >{PASSWORD} resetchannels {rights}"
    ));
    let server = Server::started(recipe).await?;
    let url = with_user(&server, "locker");
    let (one, other) = (locks(&url).await?, locks(&url).await?);
    let held = one.lock("x").acquire().await?;
    let next = tokio::spawn(other.lock("x").acquire());
    held.release().await?;
    next.await??.release().await?;
    one.inspect("x").await?;
    Ok(())
}

#[tokio::test]
async fn a_key_of_something_else_is_left_as_it_is() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    let record = "distlock:{x}";
    let () = server.command(&["SET", record, "mine"]).await?;
    let error = locks.lock("x").acquire().await.expect_err(record);
    assert_told(&error, ErrorKind::Unexpected, "another namespace");
    let keys: Vec<String> = server.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, [record]);
    let value: String = server.command(&["GET", record]).await?;
    assert_eq!(value, "mine");
    let () = server.command(&["DEL", record]).await?;
    // The others are not looked at until somebody else comes.
    let held = locks.lock("x").acquire().await?;
    for key in ["distlock:{x}:ends", "distlock:{x}:line"] {
        let () = server.command(&["SET", key, "mine"]).await?;
        let error = locks.rw_lock("x").read().await.expect_err(key);
        assert_told(&error, ErrorKind::Unexpected, "another namespace");
        held.ensure(crate::TTL * 9 / 10).await?;
        let value: String = server.command(&["GET", key]).await?;
        assert_eq!(value, "mine");
        let () = server.command(&["DEL", key]).await?;
    }
    held.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_damaged_record_is_told_and_left_as_it_is() -> Result<()> {
    const RECORD: &str = "distlock:{x}";
    let server = Server::started(Redis::new()).await?;
    let url = server.url();
    let client = || locks(&url);
    let start = "1700000000000000 9000000000000000";
    let id = "0123456789abcdef".repeat(2);
    for head in [
        String::new(),
        "something else".to_owned(),
        "x".repeat(200),
        start[..16].to_owned(),
        format!("{start} "),
        format!("{start} {id}"),
        format!("{start} {id} 1700000000000000 long exclusive"),
        format!("{start} *"),
        format!("{start} * soon exclusive 1 0 "),
        format!("{start} * 9000000000000000 exclusive one none "),
        format!("{start} * 1 exclusive"),
    ] {
        let () = server.command(&["HSET", RECORD, "head", &head]).await?;
        // Each of a client of its own, as none knows what came of what it asked before.
        for error in [
            client().await?.lock("x").acquire().await.err(),
            client().await?.lock("x").try_acquire().await.err(),
            client().await?.rw_lock("x").read().await.err(),
        ] {
            let error = error.with_context(|| format!("`{head}` is not told"))?;
            assert_told(&error, ErrorKind::Unexpected, "damaged");
        }
        // Who only looks may see nobody.
        if let Err(error) = client().await?.inspect("x").await {
            assert_told(&error, ErrorKind::Unexpected, "damaged");
        }
        let left: String = server.command(&["HGET", RECORD, "head"]).await?;
        assert_eq!(left, head);
        let keys: Vec<String> = server.command(&["KEYS", "*"]).await?;
        assert_eq!(keys, [RECORD]);
        let () = server.command(&["DEL", RECORD]).await?;
    }
    client().await?.lock("x").acquire().await?.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_takes_no_locks_is_refused_at_once() -> Result<()> {
    let sentinels = RedisSentinels::started(1, Redis::new).await?;
    let (pair, sentinel) = (&sentinels.pair, &sentinels.sentinels[0]);
    for (url, told) in [
        (pair.replica.url(), "read-only replica"),
        (sentinel.url(), "`redis-sentinel:`"),
    ] {
        assert_told(&refused(&url).await, ErrorKind::Misconfigured, told);
    }
    let url = sentinels.url().replace("primary=", "primary=other");
    let error = refused(&url).await;
    assert_told(&error, ErrorKind::Unavailable, "primary of that name");
    let url = pair.primary.url().replace("redis:", "redis-cluster:");
    let error = refused(&url).await;
    assert_told(&error, ErrorKind::Misconfigured, "none of a cluster");
    Ok(())
}

#[tokio::test]
async fn one_of_a_cluster_is_refused_by_itself() -> Result<()> {
    let cluster = RedisCluster::started(Redis::new).await?;
    let error = refused(&cluster.members[0].url()).await;
    assert_told(&error, ErrorKind::Misconfigured, "`redis-cluster:`");
    Ok(())
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_takes_no_more_locks() -> Result<()> {
    let pair = RedisPair::started(Redis::new).await?;
    let locks = locks(&pair.primary.url()).await?;
    pair.promote().await?;
    let (ip, port) = (pair.replica.address().ip(), pair.replica.address().port());
    let replica_of = ["REPLICAOF", &ip.to_string(), &port.to_string()];
    let () = pair.primary.command(&replica_of).await?;
    let error = locks.lock("x").try_acquire().await.expect_err("a replica");
    assert_told(&error, ErrorKind::Unavailable, "read-only replica");
    Ok(())
}

/// Greets as a server does that is of this version, or of before there were greetings.
async fn impostor(greeting: &'static str) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut asked).await {
                let asked = String::from_utf8_lossy(&asked[..length]);
                for command in asked.split('*').skip(1) {
                    let greets = command.contains("HELLO");
                    let answer = if greets { greeting } else { "+OK\r\n" };
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        }
    });
    Ok(format!("redis://{address}"))
}

#[tokio::test]
async fn an_old_server_is_told_to_be_too_old() -> Result<()> {
    let url = impostor("-ERR unknown command `HELLO`, with args beginning with: `3`\r\n").await?;
    let error = refused(&url).await;
    assert_told(&error, ErrorKind::Misconfigured, "Redis 6.2 or newer");
    Ok(())
}

#[tokio::test]
async fn locks_are_taken_by_a_socket() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (
        locks(&server.socket_url()?).await?,
        locks(&server.url()).await?,
    );
    let held = one.lock("x").acquire().await?;
    assert!(other.lock("x").try_acquire().await?.is_none());
    let next = tokio::spawn(one.lock("x").acquire());
    held.release().await?;
    next.await??.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_full_server_keeps_what_is_held_and_takes_no_more() -> Result<()> {
    let server = Server::started(Redis::new().setting("maxmemory-policy noeviction")).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let held = one.lock("x").acquire().await?;
    let alone = one.lock("z").acquire().await?;
    let backend = RedisBackend::connect(&server.url()).await?;
    let ttl = Ttl::new(Duration::from_secs(60), backend.capabilities())?;
    let request = ClaimRequest::new(Name::new("w")?, Mode::Exclusive, ttl);
    let mut released_once = backend.claim(request)?;
    let (patience, _end) = Patience::unlimited(Duration::from_secs(20));
    released_once.attempt(&patience).await?;
    let next = tokio::spawn(other.lock("x").acquire());
    crate::faults::waits(&one, "x").await?;
    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]).await?;
    let error = one
        .lock("y")
        .try_acquire()
        .await
        .expect_err("a lock at a full server");
    assert_told(&error, ErrorKind::Unavailable, "memory is full");
    tokio::time::sleep(2 * crate::TTL).await;
    assert!(
        held.is_held() && alone.is_held(),
        "renewals of a full server"
    );
    let released = released_once.release(patience.deadline()).await?;
    assert_eq!(released, Released::Held);
    alone.release().await?;
    held.release().await?;
    next.await??.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_user_who_may_not_publish_hands_over_all_the_same() -> Result<()> {
    let recipe = Redis::new().setting(&format!("user mute on >{PASSWORD} ~* &* +@all -publish"));
    let server = Server::started(recipe).await?;
    let url = with_user(&server, "mute");
    let backend = RedisBackend::connect(&url).await?;
    let ttl = Ttl::new(Duration::from_secs(60), backend.capabilities())?;
    let claim = || {
        let name = Name::new("x")?;
        backend.claim(ClaimRequest::new(name, Mode::Exclusive, ttl))
    };
    let (mut holder, mut waiter) = (claim()?, claim()?);
    let (patience, _end) = Patience::unlimited(Duration::from_secs(20));
    assert!(matches!(holder.attempt(&patience).await?, Attempt::Held(_)));
    assert!(matches!(
        waiter.attempt(&patience).await?,
        Attempt::Blocked(_)
    ));
    let released = holder.release(patience.deadline()).await?;
    assert_eq!(released, Released::Held);
    // It finds out at its next look.
    assert!(matches!(waiter.attempt(&patience).await?, Attempt::Held(_)));
    waiter.release(patience.deadline()).await?;
    Ok(())
}

#[test]
fn without_a_runtime_it_says_so() {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let connecting = std::pin::pin!(RedisBackend::connect("redis://127.0.0.1:1"));
    let std::task::Poll::Ready(Err(error)) = connecting.poll(&mut context) else {
        panic!("connected without a runtime");
    };
    assert_told(&error, ErrorKind::Misconfigured, "tokio runtime");
}
