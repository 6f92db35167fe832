use anyhow::Result;
use distlock_testbed::{Redis, RedisCluster, RedisPair, RedisSentinels, Server};

async fn get(server: &Server<Redis>, key: &str) -> Result<Option<String>> {
    server.command(&["GET", key]).await
}

async fn set(server: &Server<Redis>, key: &str) -> Result<()> {
    server.command(&["SET", key, "value"]).await
}

#[tokio::test]
async fn keeps_its_data_where_a_setting_says_so() -> Result<()> {
    let redis = Server::started(Redis::new().setting("appendonly yes")).await?;
    set(&redis, "key").await?;
    redis.kill().await?;
    redis.start().await?;
    assert_eq!(get(&redis, "key").await?.as_deref(), Some("value"));
    redis.restart().await?;
    assert_eq!(get(&redis, "key").await?.as_deref(), Some("value"));
    redis.restart_empty().await?;
    assert_eq!(get(&redis, "key").await?, None);
    Ok(())
}

#[tokio::test]
async fn has_a_clock_of_its_own_if_it_is_to() -> Result<()> {
    let (own, shared) = (
        Server::started(Redis::new().own_clock()).await?,
        Server::started(Redis::new()).await?,
    );
    let ahead = async || -> Result<i64> {
        let own: (i64, i64) = own.command(&["TIME"]).await?;
        let shared: (i64, i64) = shared.command(&["TIME"]).await?;
        Ok(own.0 - shared.0)
    };
    assert!((-30..=0).contains(&ahead().await?));
    own.set_clock_ahead(3600)?;
    assert!((3570..=3600).contains(&ahead().await?));
    own.set_clock_ahead(-3600)?;
    assert!((-3630..=-3600).contains(&ahead().await?));
    assert!(shared.set_clock_ahead(1).is_err());
    Ok(())
}

#[tokio::test]
async fn keeps_nothing_by_default() -> Result<()> {
    let redis = Server::started(Redis::new()).await?;
    set(&redis, "key").await?;
    redis.restart().await?;
    assert_eq!(get(&redis, "key").await?, None);
    Ok(())
}

#[tokio::test]
async fn lets_in_who_has_the_url() -> Result<()> {
    let redis = Server::started(Redis::new().password("open-sesame")).await?;
    let ping = async |url: &str| -> redis::RedisResult<String> {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async(&mut connection).await
    };
    assert_eq!(ping(&redis.url()).await?, "PONG");
    let anonymous = redis.url().replace(":open-sesame@", "");
    assert_eq!(ping(&anonymous).await.unwrap_err().code(), Some("NOAUTH"));
    let proxy = redis.proxy().await?;
    assert_eq!(ping(&redis.url_through(&proxy)).await?, "PONG");
    Ok(())
}

#[tokio::test]
async fn is_reached_by_a_socket_too() -> Result<()> {
    let redis = Server::started(Redis::new()).await?;
    let client = redis::Client::open(redis.socket_url()?)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let answer: String = redis::cmd("PING").query_async(&mut connection).await?;
    assert_eq!(answer, "PONG");
    Ok(())
}

#[tokio::test]
async fn runs_full_when_told_to() -> Result<()> {
    let redis = Redis::new()
        .setting("maxmemory 1")
        .setting("maxmemory-policy noeviction");
    let redis = Server::started(redis).await?;
    let refused = set(&redis, "key").await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_replica_follows_until_it_is_promoted() -> Result<()> {
    let pair = RedisPair::started(Redis::new).await?;
    set(&pair.primary, "key").await?;
    pair.linked().await?;
    assert_eq!(get(&pair.replica, "key").await?.as_deref(), Some("value"));
    let refused = set(&pair.replica, "other").await.unwrap_err();
    assert!(refused.to_string().contains("read only"), "{refused}");

    pair.primary.kill().await?;
    pair.promote().await?;
    set(&pair.replica, "other").await?;
    assert_eq!(pair.replica.info("role").await?, "master");
    Ok(())
}

#[tokio::test]
async fn a_replica_follows_again_after_it_was_down() -> Result<()> {
    let pair = RedisPair::started(Redis::new).await?;
    pair.replica.kill().await?;
    set(&pair.primary, "key").await?;
    pair.replica.start().await?;
    pair.linked().await?;
    assert_eq!(get(&pair.replica, "key").await?.as_deref(), Some("value"));
    Ok(())
}

#[tokio::test]
async fn a_cluster_shares_the_slots() -> Result<()> {
    let cluster = RedisCluster::started(Redis::new).await?;
    assert_eq!(cluster.urls().len(), 3);
    // The slot of this key is the last but one third: 12182.
    let refused = set(&cluster.members[0], "foo").await.unwrap_err();
    let owner = cluster.members[2].address();
    let moved = format!("12182 {owner}");
    assert!(format!("{refused:#}").contains(&moved), "{refused:#}");
    set(&cluster.members[2], "foo").await?;

    cluster.members[2].kill().await?;
    cluster.members[2].start().await?;
    cluster.whole().await?;
    set(&cluster.members[2], "foo").await
}

#[tokio::test]
async fn sentinels_promote_the_replica_of_a_primary_that_is_gone() -> Result<()> {
    let all = RedisSentinels::started(3, Redis::new).await?;
    assert_eq!(all.urls().len(), 3);
    let first = all.pair.primary.address();
    assert_eq!(all.primary().await?.address(), first);
    all.pair.primary.kill().await?;
    let second = all.other_primary(first).await?;
    assert_eq!(second.address(), all.pair.replica.address());
    set(second, "key").await
}

#[tokio::test]
async fn one_sentinel_fails_over_on_command() -> Result<()> {
    let all = RedisSentinels::started(1, || Redis::new().password("secret")).await?;
    let second = all.fail_over().await?;
    assert_eq!(second.address(), all.pair.replica.address());
    set(second, "key").await
}
