use std::time::Duration;

use anyhow::Result;
use distlock_core::{Error, ErrorKind, Locks};
use distlock_redis::RedisBackend;
use distlock_testbed::{Authority, Identity, Redis, RedisCluster, RedisSentinels, Server};
use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ClientTlsConfig, IntoConnectionInfo, ProtocolVersion, TlsCertificates, TlsMode,
};
use tokio::time::timeout;

use crate::faults::{SOON, acquired, waits};
use crate::refusals::{PASSWORD, assert_told};

const LONG: Duration = Duration::from_secs(60);

/// What a client has that trusts this authority, and shows this certificate if it has one.
fn certificates(trusted: &Authority, shown: Option<&Identity>) -> TlsCertificates {
    TlsCertificates {
        client_tls: shown.map(|shown| ClientTlsConfig {
            client_cert: shown.certificate.clone().into_bytes(),
            client_key: shown.key.clone().into_bytes(),
        }),
        root_cert: Some(trusted.certificate().into_bytes()),
    }
}

fn client(server: &Server<Redis>, trusted: &Authority, shown: Option<&Identity>) -> Result<Client> {
    let certificates = certificates(trusted, shown);
    Ok(Client::build_with_tls(server.url(), certificates)?)
}

async fn refused(client: Client) -> Error {
    RedisBackend::new(client).await.expect_err("it was let in")
}

#[tokio::test]
async fn a_certificate_is_trusted_if_it_is_the_right_one() -> Result<()> {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let recipe = Redis::new()
        .password(PASSWORD)
        .tls(ours.issue("127.0.0.1")?);
    let server = Server::started(recipe).await?;
    let locks = Locks::new(RedisBackend::new(client(&server, &ours, None)?).await?)?;
    locks.lock("x").acquire().await?.release().await?;

    let error = refused(client(&server, &other, None)?).await;
    assert_told(&error, ErrorKind::Misconfigured, "by TLS");
    // By the authorities that the system trusts.
    let error = RedisBackend::connect(&server.url()).await;
    assert_told(
        &error.expect_err("not trusted"),
        ErrorKind::Misconfigured,
        "by TLS",
    );
    // Without TLS, the server does not know what it is told.
    let error = RedisBackend::connect(&server.url().replace("rediss", "redis")).await;
    assert_told(&error.expect_err("no TLS"), ErrorKind::Unavailable, "");
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_another_host_is_not_trusted() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Redis::new()
        .password(PASSWORD)
        .tls(authority.issue("localhost.example")?);
    let server = Server::started(recipe).await?;
    let error = refused(client(&server, &authority, None)?).await;
    assert_told(&error, ErrorKind::Misconfigured, "by TLS");
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_it() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Redis::new().tls(authority.issue("127.0.0.1")?);
    let server = Server::started(recipe.setting("tls-auth-clients yes")).await?;
    let shown = authority.issue("client")?;
    let locks = Locks::new(RedisBackend::new(client(&server, &authority, Some(&shown))?).await?)?;
    locks.lock("x").acquire().await?.release().await?;

    let unknown = Authority::new()?.issue("client")?;
    for shown in [None, Some(&unknown)] {
        let error = refused(client(&server, &authority, shown)?).await;
        assert!(error.kind() != ErrorKind::Unexpected, "{error}");
    }
    Ok(())
}

/// All servers at 127.0.0.1 show that they are there.
fn recipe(authority: &Authority) -> impl Fn() -> Redis {
    let identity = authority.issue("127.0.0.1");
    let identity = identity.expect("an authority issues what it is asked for");
    move || Redis::new().password(PASSWORD).tls(identity.clone())
}

/// Those of each name go to the member that keeps it, and its grants come from there.
#[tokio::test]
async fn all_members_of_a_cluster_are_spoken_to_by_tls() -> Result<()> {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let cluster = RedisCluster::started(recipe(&ours)).await?;
    let client = |trusted| {
        ClusterClientBuilder::new(cluster.urls())
            .use_protocol(ProtocolVersion::RESP3)
            .certs(certificates(trusted, None))
            .build()
    };
    let one = Locks::new(RedisBackend::cluster(client(&ours)?).await?)?;
    let two = Locks::new(RedisBackend::cluster(client(&ours)?).await?)?;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let held = one.lock(name).acquire().await?;
        let next = acquired(&two, name, LONG);
        waits(&one, name).await?;
        held.release().await?;
        timeout(SOON / 2, next).await???.release().await?;
    }
    for error in [
        RedisBackend::cluster(client(&other)?).await,
        RedisBackend::connect(&cluster.url()).await,
    ] {
        let error = error.expect_err("not trusted");
        assert_told(&error, ErrorKind::Misconfigured, "by TLS");
    }
    Ok(())
}

#[tokio::test]
async fn sentinels_and_the_primary_are_spoken_to_by_tls() -> Result<()> {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let sentinels = RedisSentinels::started(1, recipe(&ours)).await?;
    let addresses = sentinels.urls().into_iter();
    let addresses = addresses.map(|url| Ok(url.into_connection_info()?.addr().clone()));
    let addresses = addresses.collect::<Result<Vec<_>>>()?;
    let client = |of_sentinel, of_server| {
        let kind = SentinelServerType::Master;
        SentinelClientBuilder::new(addresses.clone(), RedisSentinels::NAME, kind)?
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates(of_sentinel, None))
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(of_server, None))
            .set_client_to_redis_password(PASSWORD)
            .build()
    };
    let locks = Locks::new(RedisBackend::sentinels(client(&ours, &ours)?).await?)?;
    locks.lock("x").acquire().await?.release().await?;
    // By the new connections that a failover takes, too.
    sentinels.fail_over().await?;
    let held = timeout(SOON, locks.lock("x").acquire()).await??;
    held.release().await?;
    for (of_sentinel, of_server) in [(&other, &ours), (&ours, &other)] {
        let error = RedisBackend::sentinels(client(of_sentinel, of_server)?).await;
        let error = error.expect_err("not trusted");
        assert_told(&error, ErrorKind::Misconfigured, "by TLS");
    }
    Ok(())
}
