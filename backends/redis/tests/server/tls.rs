use anyhow::Result;
use distlock_core::{Error, ErrorKind, Locks};
use distlock_redis::RedisBackend;
use distlock_testbed::{Authority, Identity, Redis, Server};
use redis::{Client, ClientTlsConfig, TlsCertificates};

use crate::refusals::{PASSWORD, assert_told};

/// A client that trusts this authority, and shows this certificate if it has one.
fn client(server: &Server<Redis>, trusted: &Authority, shown: Option<&Identity>) -> Result<Client> {
    let certificates = TlsCertificates {
        client_tls: shown.map(|shown| ClientTlsConfig {
            client_cert: shown.certificate.clone().into_bytes(),
            client_key: shown.key.clone().into_bytes(),
        }),
        root_cert: Some(trusted.certificate().into_bytes()),
    };
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
