//! What an operator does to keys and leases.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{ErrorKind, Loss};
use etcd_client::{Client, LeaseTimeToLiveOptions, PutOptions};
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, acquired, keys, keys_become, locks, locks_for, server, waiting};

/// The lease under which these keys stand.
pub(crate) async fn lease_of(client: &mut Client, key: &str) -> Result<i64> {
    let found = client.get(key, None).await?;
    Ok(found.kvs().first().context("no such key")?.lease())
}

#[tokio::test]
async fn a_revoked_lease_is_told_at_once() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks_for(LONG, &server.url()).await?;
    let guards = [
        locks.lock("a").acquire().await?,
        locks.lock("b").acquire().await?,
    ];
    let (key, _) = keys(&mut client, "a").await?.remove(0);
    let lease = lease_of(&mut client, &key).await?;
    client.lease_revoke(lease).await?;
    for guard in &guards {
        assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Revoked);
    }
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    assert!(next.token() > guards[0].token());
    let [one, _other] = guards;
    let error = one.release().await.expect_err("it was lost");
    assert_eq!(error.kind(), ErrorKind::Lost);
    assert!(next.is_held());
    Ok(())
}

#[tokio::test]
async fn a_deleted_key_is_told_at_once_and_costs_the_neighbours_nothing() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks_for(LONG, &server.url()).await?;
    let (guard, beside) = (
        locks.lock("a").acquire().await?,
        locks.lock("b").acquire().await?,
    );
    let (key, _) = keys(&mut client, "a").await?.remove(0);
    client.delete(key, None).await?;
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Revoked);
    assert!(beside.is_held());
    beside.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_key_of_one_that_had_waited_is_told_at_once() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let url = server.url();
    let (one, other) = (locks_for(LONG, &url).await?, locks_for(LONG, &url).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    guard.release().await?;
    let guard = timeout(SOON, next).await???;
    let (key, _) = keys(&mut client, "a").await?.remove(0);
    client.delete(key, None).await?;
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Revoked);
    Ok(())
}

#[tokio::test]
async fn a_waiter_whose_key_was_deleted_takes_another_place() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let url = server.url();
    let (one, other) = (locks_for(LONG, &url).await?, locks_for(LONG, &url).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    let (key, revision) = keys(&mut client, "a").await?.remove(1);
    // It has to be told, so it has to be watching.
    sleep(Duration::from_millis(500)).await;
    client.delete(key, None).await?;
    waiting(&one, "a", 1).await?;
    assert!(keys(&mut client, "a").await?[1].1 > revision);
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_waiter_whose_lease_was_revoked_goes_on_under_another() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let url = server.url();
    let (one, other) = (locks_for(LONG, &url).await?, locks(&url).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    let (key, _) = keys(&mut client, "a").await?.remove(1);
    let lease = lease_of(&mut client, &key).await?;
    client.lease_revoke(lease).await?;
    waiting(&one, "a", 1).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_nobodys_is_removed_by_a_heartbeat() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    let (key, _) = keys(&mut client, "a").await?.remove(0);
    let lease = lease_of(&mut client, &key).await?;
    let orphan = format!("distlock/b/lock/{:032x}", 7);
    let under = PutOptions::new().with_lease(lease);
    client.put(orphan, "{}", Some(under)).await?;
    keys_become(&mut client, "b", 0).await?;
    assert!(guard.is_held());
    let shown = LeaseTimeToLiveOptions::new().with_keys();
    let shown = client.lease_time_to_live(lease, Some(shown)).await?;
    assert_eq!(shown.keys().len(), 1);
    Ok(())
}

#[tokio::test]
async fn holds_of_about_one_ttl_share_a_lease() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks_for(LONG, &server.url()).await?;
    let mut guards = Vec::new();
    for number in 0..200 {
        let ttl = LONG + Duration::from_secs(number % 100);
        let lock = locks.lock(format!("a{number}")).ttl(ttl);
        guards.push(lock.acquire().await?);
    }
    assert_eq!(client.leases().await?.leases().len(), 1);
    drop(guards);
    locks.settle().await;
    drop(locks);
    let ended = async {
        while !client.leases().await?.leases().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(SOON, ended).await.context("a lease is left")?
}

#[tokio::test]
async fn what_is_no_entry_is_left_alone() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks(&server.url()).await?;
    client
        .put("distlock/a/lock/mine", "hands off", None)
        .await?;
    let error = locks.lock("a").try_acquire().await.expect_err("a lock");
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.to_string().contains("another namespace"), "{error}");
    assert_eq!(keys(&mut client, "a").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn one_name_is_not_in_the_way_of_another() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let mut guards = Vec::new();
    for name in ["a", "a/b", "a/lock", "a/lock/", "a%2Fb"] {
        let guard = locks.lock(name).try_acquire().await?;
        guards.push(guard.with_context(|| name.to_owned())?);
    }
    Ok(())
}

/// Who comes is told, and whoever stands there goes on.
#[tokio::test]
async fn a_damaged_entry_is_told_and_left_alone() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let (key, _) = keys(&mut client, "a").await?.remove(0);
    let keeping = PutOptions::new().with_ignore_lease();
    client.put(key, "damaged", Some(keeping)).await?;
    for error in [
        other.lock("a").try_acquire().await.err(),
        other.inspect("a").await.err(),
    ] {
        let error = error.context("it is not told")?;
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
        assert!(error.to_string().contains("something else"), "{error}");
    }
    assert_eq!(keys(&mut client, "a").await?.len(), 1);
    assert!(guard.is_held());
    guard.release().await?;
    locks(&server.url())
        .await?
        .lock("a")
        .acquire()
        .await?
        .release()
        .await?;
    Ok(())
}
