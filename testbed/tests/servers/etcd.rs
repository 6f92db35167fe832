use std::time::Duration;

use anyhow::Result;
use distlock_testbed::{Etcd, EtcdCluster, Server};
use etcd_client::Client;
use tokio::time::timeout;

async fn value(client: &mut Client) -> Result<Option<String>> {
    let found = client.get("key", None).await?;
    let value = found.kvs().first().map(|found| found.value_str());
    Ok(value.transpose()?.map(str::to_owned))
}

#[tokio::test]
async fn keeps_its_data_until_it_loses_them() -> Result<()> {
    let etcd = Server::started(Etcd::new()).await?;
    let mut client = etcd.client().await?;
    client.put("key", "value", None).await?;
    etcd.kill().await?;
    etcd.start().await?;
    let mut client = etcd.client().await?;
    assert_eq!(value(&mut client).await?.as_deref(), Some("value"));
    etcd.restart_empty().await?;
    let mut client = etcd.client().await?;
    assert_eq!(value(&mut client).await?, None);
    Ok(())
}

#[tokio::test]
async fn lets_in_users_with_their_password_once_that_is_required() -> Result<()> {
    let etcd = Server::started(Etcd::new()).await?;
    etcd.require_users("open-sesame").await?;
    let refused = value(&mut etcd.client().await?).await.unwrap_err();
    assert!(refused.to_string().contains("user name"), "{refused}");
    assert!(etcd.client_of("root", "wrong").await.is_err());
    let mut root = etcd.client_of("root", "open-sesame").await?;
    assert_eq!(value(&mut root).await?, None);
    etcd.restart().await
}

#[tokio::test]
async fn a_cluster_outlives_its_leader() -> Result<()> {
    let cluster = EtcdCluster::started(Etcd::new).await?;
    let first = cluster.leader().await?;
    let mut client = cluster.members[first].client().await?;
    client.put("key", "value", None).await?;
    cluster.members[first].pause().await?;
    let second = cluster.other_leader(first).await?;
    let mut client = cluster.members[second].client().await?;
    assert_eq!(value(&mut client).await?.as_deref(), Some("value"));
    cluster.members[first].resume().await?;
    cluster.members[second].kill().await?;
    let third = cluster.other_leader(second).await?;
    cluster.members[second].start().await?;
    cluster.move_leader(second).await?;
    assert_ne!(cluster.leader().await?, third);
    Ok(())
}

#[tokio::test]
async fn a_member_that_was_down_catches_up() -> Result<()> {
    let cluster = EtcdCluster::started(Etcd::new).await?;
    let leader = cluster.leader().await?;
    let lost = &cluster.members[(leader + 1) % 3];
    lost.kill().await?;
    let mut client = cluster.members[leader].client().await?;
    client.put("key", "value", None).await?;
    lost.start().await?;
    let mut client = lost.client().await?;
    let found = value(&mut client).await?;
    assert_eq!(found.as_deref(), Some("value"));
    Ok(())
}

#[tokio::test]
async fn a_member_that_is_cut_off_is_no_leader_any_more() -> Result<()> {
    let cluster = EtcdCluster::started(Etcd::new).await?;
    let first = cluster.leader().await?;
    cluster.isolate(first);
    let second = cluster.other_leader(first).await?;
    let mut client = cluster.members[second].client().await?;
    client.put("key", "value", None).await?;
    let mut alone = cluster.members[first].client().await?;
    let asked = timeout(Duration::from_secs(2), value(&mut alone)).await;
    assert!(!matches!(asked, Ok(Ok(_))), "{asked:?}");
    cluster.heal().await?;
    let known = async { while value(&mut alone).await.is_err() {} };
    timeout(Duration::from_secs(30), known).await?;
    assert_eq!(value(&mut alone).await?.as_deref(), Some("value"));
    Ok(())
}
