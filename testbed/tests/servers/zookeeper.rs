use std::time::Duration;

use anyhow::{Result, bail};
use distlock_testbed::{Role, Server, ZooKeeper, ZooKeeperEnsemble};
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode};

const SOON: Duration = Duration::from_secs(30);

/// A client of the server or servers at this URL.
async fn client(url: &str) -> Result<Client> {
    let hosts = url.trim_start_matches("zookeeper://");
    let connector = Client::connector().with_session_timeout(Duration::from_secs(20));
    Ok(timeout(SOON, connector.connect(hosts)).await??)
}

async fn write(client: &Client, path: &str) -> Result<()> {
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    timeout(SOON, client.create(path, b"value", &options)).await??;
    Ok(())
}

async fn has(client: &Client, path: &str) -> Result<bool> {
    Ok(timeout(SOON, client.check_stat(path)).await??.is_some())
}

#[tokio::test]
async fn keeps_its_data_unless_it_loses_them() -> Result<()> {
    let server = Server::started(ZooKeeper::new()).await?;
    assert_eq!(server.role().await?, Role::Standalone);
    write(&client(&server.url()).await?, "/node").await?;
    server.kill().await?;
    server.start().await?;
    assert!(has(&client(&server.url()).await?, "/node").await?);
    server.restart().await?;
    assert!(has(&client(&server.url()).await?, "/node").await?);
    server.restart_empty().await?;
    assert!(!has(&client(&server.url()).await?, "/node").await?);
    assert!(server.received().await? > 0);
    Ok(())
}

#[tokio::test]
async fn is_where_only_this_machine_reaches_it() -> Result<()> {
    let server = Server::started(ZooKeeper::new()).await?;
    let proxy = server.proxy().await?;
    write(&client(&server.url_through(&proxy)).await?, "/node").await?;
    let sockets = std::fs::read_to_string(format!("/proc/{}/net/tcp6", server.pid().await?))?;
    let port = format!(":{:04X} ", server.address().port());
    let listening = sockets.lines().find(|line| line.contains(&port));
    // 127.0.0.1, as an address of the newer kind.
    assert!(
        listening.is_some_and(|it| it.contains("0000000000000000FFFF00000100007F")),
        "{listening:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_super_user_may_do_everything() -> Result<()> {
    let server = Server::started(ZooKeeper::new()).await?;
    let somebody = client(&server.url()).await?;
    somebody.auth("digest", b"somebody:secret").await?;
    let options = CreateMode::Persistent.with_acls(Acls::creator_all());
    somebody.create("/own", b"value", &options).await?;
    let other = client(&server.url()).await?;
    assert!(other.get_data("/own").await.is_err());
    let password = format!("super:{}", ZooKeeper::PASSWORD);
    other.auth("digest", password.as_bytes()).await?;
    assert_eq!(other.get_data("/own").await?.0, b"value");
    Ok(())
}

#[tokio::test]
async fn an_ensemble_survives_its_leader() -> Result<()> {
    let ensemble = ZooKeeperEnsemble::started(ZooKeeper::new).await?;
    let client = client(&ensemble.url()).await?;
    write(&client, "/before").await?;
    let leader = ensemble.leader().await?;
    ensemble.members[leader].kill().await?;
    assert_ne!(ensemble.leader().await?, leader);
    written(&client, "/after").await?;
    ensemble.members[leader].restart_empty().await?;
    ensemble.whole().await?;
    assert_ne!(ensemble.leader().await?, leader);
    let url = ensemble.members[leader].url();
    assert!(has(&self::client(&url).await?, "/before").await?);
    Ok(())
}

#[tokio::test]
async fn a_member_that_is_parted_from_the_others_serves_nobody() -> Result<()> {
    let ensemble = ZooKeeperEnsemble::started(ZooKeeper::new).await?;
    let follower = ensemble.follower().await?;
    ensemble.part(follower);
    let parted = &ensemble.members[follower];
    let is_alone = async {
        while parted.role().await? != Role::None {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<(), anyhow::Error>(())
    };
    timeout(SOON, is_alone).await??;
    written(&client(&ensemble.url()).await?, "/others").await?;
    ensemble.heal().await?;
    ensemble.whole().await?;
    assert!(has(&client(&parted.url()).await?, "/others").await?);
    Ok(())
}

/// Writes, once the client has found a member that can.
async fn written(client: &Client, path: &str) -> Result<()> {
    for _ in 0..600 {
        if write(client, path).await.is_ok() || has(client, path).await.unwrap_or(false) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("no member takes a write")
}
