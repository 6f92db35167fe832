//! Servers that act as one: a cluster, and a primary that sentinels watch over.

use std::time::Duration;

use anyhow::Result;
use distlock_core::{ErrorKind, Locks};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, RedisCluster, RedisSentinels};
use redis::ProtocolVersion;
use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClient, SentinelServerType};
use tokio::time::timeout;

use crate::faults::{SOON, acquired, waits};
use crate::locks;
use crate::refusals::{PASSWORD, assert_told};

/// Names that are kept by different members of a cluster of three.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// With the name's only key.
async fn slot(cluster: &RedisCluster, name: &str) -> Result<String> {
    let key = format!("distlock:{{{name}}}");
    let slot: u32 = cluster.members[0]
        .command(&["CLUSTER", "KEYSLOT", &key])
        .await?;
    Ok(slot.to_string())
}

/// By number, the member that keeps this name.
async fn keeper(cluster: &RedisCluster, name: &str) -> Result<usize> {
    for (number, member) in cluster.members.iter().enumerate() {
        let count: u32 = member
            .command(&["CLUSTER", "COUNTKEYSINSLOT", &slot(cluster, name).await?])
            .await?;
        if count > 0 {
            return Ok(number);
        }
    }
    anyhow::bail!("nobody keeps {name}")
}

#[tokio::test]
async fn the_names_of_a_cluster_are_kept_by_all_of_its_members() -> Result<()> {
    let cluster = RedisCluster::started(Redis::new).await?;
    let (one, other) = (locks(&cluster.url()).await?, locks(&cluster.url()).await?);
    let mut keepers = Vec::new();
    for name in NAMES {
        let held = one.lock(name).acquire().await?;
        let next = acquired(&other, name, Duration::from_secs(60));
        waits(&one, name).await?;
        let token = held.token();
        held.release().await?;
        // Told, long before it would look.
        let next = timeout(SOON / 2, next).await???;
        assert!(next.token() > token);
        next.release().await?;
        keepers.push(keeper(&cluster, name).await?);
    }
    keepers.sort_unstable();
    keepers.dedup();
    assert_eq!(keepers, [0, 1, 2]);
    Ok(())
}

#[tokio::test]
async fn a_hold_moves_with_its_slot() -> Result<()> {
    let cluster = RedisCluster::started(Redis::new).await?;
    let (one, other) = (locks(&cluster.url()).await?, locks(&cluster.url()).await?);
    let ttl = Duration::from_secs(30);
    let held = one.lock("a").ttl(ttl).acquire().await?;
    let next = acquired(&other, "a", ttl);
    waits(&one, "a").await?;
    let from = keeper(&cluster, "a").await?;
    let (source, target) = (&cluster.members[from], &cluster.members[(from + 1) % 3]);
    let slot = slot(&cluster, "a").await?;
    let (source_id, target_id): (String, String) = (
        source.command(&["CLUSTER", "MYID"]).await?,
        target.command(&["CLUSTER", "MYID"]).await?,
    );
    let set_slot = ["CLUSTER", "SETSLOT", &slot];
    let () = target
        .command(&[&set_slot[..], &["IMPORTING", &source_id]].concat())
        .await?;
    let () = source
        .command(&[&set_slot[..], &["MIGRATING", &target_id]].concat())
        .await?;
    let (host, port) = (target.address().ip(), target.address().port());
    let (host, port) = (host.to_string(), port.to_string());
    let keys: Vec<String> = source
        .command(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"])
        .await?;
    assert_eq!(keys.len(), 3, "{keys:?}");
    let mut migrate = vec!["MIGRATE", &host, &port, "", "0", "5000", "KEYS"];
    migrate.extend(keys.iter().map(String::as_str));
    let () = source.command(&migrate).await?;
    // Until the slot is said to have moved, clients are sent there for each key.
    held.ensure(ttl * 9 / 10).await?;
    for member in &cluster.members {
        let () = member
            .command(&[&set_slot[..], &["NODE", &target_id]].concat())
            .await?;
    }
    held.ensure(ttl * 9 / 10).await?;
    let token = held.token();
    held.release().await?;
    let next = timeout(SOON / 2, next).await???;
    assert!(next.token() > token);
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_dead_member_of_a_cluster_costs_the_others_nothing() -> Result<()> {
    // Else no member serves its slots while those of another are not served.
    let recipe = || Redis::new().setting("cluster-require-full-coverage no");
    let cluster = RedisCluster::started(recipe).await?;
    let (one, other) = (locks(&cluster.url()).await?, locks(&cluster.url()).await?);
    for name in NAMES {
        one.lock(name).acquire().await?.release().await?;
    }
    let ttl = Duration::from_secs(60);
    let mut kept = Vec::new();
    for name in NAMES {
        if keeper(&cluster, name).await? != 1 {
            kept.push((name, one.lock(name).ttl(ttl).acquire().await?));
        }
    }
    cluster.members[1].kill().await?;
    for (name, held) in kept {
        held.ensure(ttl * 9 / 10).await?;
        let next = acquired(&other, name, ttl);
        waits(&one, name).await?;
        held.release().await?;
        timeout(SOON / 2, next).await???.release().await?;
    }
    cluster.members[1].start().await?;
    cluster.whole().await?;
    for name in NAMES {
        one.lock(name).acquire().await?.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_promoted_replica_is_found_and_gives_greater_tokens() -> Result<()> {
    let sentinels = RedisSentinels::started(3, Redis::new).await?;
    let (one, other) = (
        locks(&sentinels.url()).await?,
        locks(&sentinels.url()).await?,
    );
    let ttl = Duration::from_secs(60);
    let held = one.lock("x").ttl(ttl).acquire().await?;
    let token = held.token();
    let next = acquired(&other, "x", ttl);
    waits(&one, "x").await?;
    sentinels.pair.linked().await?;
    let old = sentinels.pair.primary.address();
    sentinels.pair.primary.kill().await?;
    sentinels.other_primary(old).await?;
    // What had been copied is still known.
    timeout(SOON, async {
        while held.ensure(ttl * 9 / 10).await.is_err() {
            assert!(held.is_held());
        }
    })
    .await?;
    held.release().await?;
    let next = timeout(ttl / 2, next).await???;
    assert!(next.token() > token);
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_primary_that_is_relieved_is_left() -> Result<()> {
    let sentinels = RedisSentinels::started(3, Redis::new).await?;
    let locks = locks(&sentinels.url()).await?;
    let held = locks.lock("x").acquire().await?;
    let token = held.token();
    held.release().await?;
    let new = sentinels.fail_over().await?;
    let held = timeout(SOON, locks.lock("x").acquire()).await??;
    assert!(held.token() > token);
    let keys: Vec<String> = new.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, ["distlock:{x}"]);
    held.release().await?;
    Ok(())
}

#[tokio::test]
async fn clients_of_the_user_are_taken() -> Result<()> {
    let cluster = RedisCluster::started(Redis::new).await?;
    let client = ClusterClientBuilder::new(cluster.urls())
        .use_protocol(ProtocolVersion::RESP3)
        .build()?;
    let at_cluster = Locks::new(RedisBackend::cluster(client).await?)?;
    at_cluster.lock("x").acquire().await?.release().await?;

    let sentinels = RedisSentinels::started(1, Redis::new).await?;
    let name = RedisSentinels::NAME.to_owned();
    let client = SentinelClient::build(sentinels.urls(), name, None, SentinelServerType::Master)?;
    let at_primary = Locks::new(RedisBackend::sentinels(client).await?)?;
    at_primary.lock("x").acquire().await?.release().await?;
    Ok(())
}

/// The client of a cluster says why it was not let in by words alone.
#[tokio::test]
async fn a_cluster_that_lets_nobody_in_says_why() -> Result<()> {
    let cluster = RedisCluster::started(|| Redis::new().password(PASSWORD)).await?;
    let url = cluster.url();
    locks(&url)
        .await?
        .lock("x")
        .acquire()
        .await?
        .release()
        .await?;
    for wrong in [
        url.replace(PASSWORD, "hush"),
        url.replace(&format!(":{PASSWORD}@"), ""),
    ] {
        let error = RedisBackend::connect(&wrong).await;
        let error = error.expect_err("it was let in");
        assert_told(&error, ErrorKind::Unauthorized, "password");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    Ok(())
}
