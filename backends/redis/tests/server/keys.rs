use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server};

use crate::due::LONG;
use crate::faults::{acquired, waits};
use crate::locks;

const DAY: i64 = 24 * 60 * 60 * 1000;
const RECORD: &str = "distlock:{x}";
const KEYS: [&str; 3] = [RECORD, "distlock:{x}:ends", "distlock:{x}:line"];

#[tokio::test]
async fn every_key_ends_a_day_after_the_latest_expiry_and_no_sooner() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let one = locks(&server.url()).await?;
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let lasting = Locks::builder().ttl(year);
    let lasting = lasting.build(RedisBackend::connect(&server.url()).await?)?;
    let first = lasting.rw_lock("x").read().await?;
    // One with a short TTL shortens nothing.
    let second = one.rw_lock("x").read().await?;
    let third = tokio::spawn(one.rw_lock("x").write());
    waits(&one, "x").await?;
    for (key, least) in [("", 365 * DAY), (":ends", 365 * DAY), (":line", DAY)] {
        let left: i64 = server
            .command(&["PTTL", &format!("distlock:{{x}}{key}")])
            .await?;
        assert!(left > least, "{key}: {left}");
    }
    first.release().await?;
    second.release().await?;
    third.await??.release().await?;
    let keys: Vec<String> = server.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, ["distlock:{x}"], "the numbers alone are kept");
    let fields: Vec<String> = server.command(&["HKEYS", "distlock:{x}"]).await?;
    assert_eq!(fields, ["head"]);
    let left: i64 = server.command(&["PTTL", "distlock:{x}"]).await?;
    assert!(left > DAY, "{left}");
    Ok(())
}

#[tokio::test]
async fn the_key_of_a_lone_holder_ends_a_day_after_its_latest_expiry() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    let ttl = Duration::from_secs(365 * 24 * 60 * 60);
    let mut least = DAY;
    for ttl in [crate::TTL, ttl, crate::TTL] {
        let held = locks.lock("x").ttl(ttl).acquire().await?;
        least = least.max(DAY + i64::try_from(ttl.as_millis())? - 60_000);
        let left: i64 = server.command(&["PTTL", "distlock:{x}"]).await?;
        assert!((least..least + DAY).contains(&left), "{left} of {least}");
        held.release().await?;
        let keys: Vec<String> = server.command(&["KEYS", "*"]).await?;
        assert_eq!(keys, ["distlock:{x}"]);
        let left: i64 = server.command(&["PTTL", "distlock:{x}"]).await?;
        assert!((least..least + DAY).contains(&left), "{left} of {least}");
    }
    Ok(())
}

#[tokio::test]
async fn the_keys_of_a_line_end_a_day_after_the_latest_expiry() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let one = locks(&server.url()).await?;
    let others = [locks(&server.url()).await?, locks(&server.url()).await?];
    let all_end_later_than_a_day = async || {
        for key in KEYS {
            let left: i64 = server.command(&["PTTL", key]).await?;
            assert!(left > DAY, "{key}: {left}");
        }
        anyhow::Ok(())
    };
    let first = one.lock("x").ttl(LONG).acquire().await?;
    let second = acquired(&others[0], "x", LONG);
    waits(&one, "x").await?;
    first.release().await?;
    let second = second.await??;
    // The line has been empty.
    let third = acquired(&one, "x", LONG);
    waits(&one, "x").await?;
    all_end_later_than_a_day().await?;
    // As a day later, if nothing had kept them for longer.
    let head: String = server.command(&["HGET", RECORD, "head"]).await?;
    let (last, rest) = (&head[..16], &head[33..]);
    let aged = format!("{last} {last}{rest}");
    let _: u32 = server.command(&["HSET", RECORD, "head", &aged]).await?;
    for key in KEYS {
        let _: u32 = server.command(&["PEXPIRE", key, "60000"]).await?;
    }
    let last = acquired(&others[1], "x", LONG);
    while one.inspect("x").await?.waiters.len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    all_end_later_than_a_day().await?;
    second.release().await?;
    third.await??.release().await?;
    last.await??.release().await?;
    Ok(())
}

#[tokio::test]
async fn one_that_waits_does_not_poll() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let day = Duration::from_secs(24 * 60 * 60);
    let held = one.lock("x").ttl(day).acquire().await?;
    let next = tokio::spawn(other.lock("x").ttl(day).acquire());
    waits(&one, "x").await?;
    let () = server.command(&["CONFIG", "RESETSTAT"]).await?;
    tokio::time::sleep(crate::TTL).await;
    let scripts: String = server.command(&["INFO", "commandstats"]).await?;
    assert!(!scripts.contains("evalsha"), "{scripts}");
    held.release().await?;
    next.await??.release().await?;
    // The release and the grant told are all that a hand-over takes: no look in between.
    let scripts: String = server.command(&["INFO", "commandstats"]).await?;
    assert!(scripts.contains("cmdstat_evalsha:calls=2,"), "{scripts}");
    Ok(())
}
