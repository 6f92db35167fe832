use anyhow::Result;
use distlock_core::{Error, ErrorKind, Locks};
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Authority, Identity, Postgres, Server};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::refusals::assert_told;

/// Options of a client that trusts this authority, and shows this certificate if it has one.
fn options(
    server: &Server<Postgres>,
    trusted: &Authority,
    shown: Option<&Identity>,
) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = server.url().parse()?;
    let options = options
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert_from_pem(trusted.certificate().into_bytes());
    Ok(match shown {
        Some(shown) => options
            .ssl_client_cert_from_pem(&shown.certificate)
            .ssl_client_key_from_pem(&shown.key),
        None => options,
    })
}

async fn refused(options: PgConnectOptions) -> Error {
    PostgresBackend::new(options)
        .await
        .expect_err("it was let in")
}

#[tokio::test]
async fn a_certificate_is_trusted_if_it_is_the_right_one() -> Result<()> {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let recipe = Postgres::new().password().tls(ours.issue("127.0.0.1")?);
    let server = Server::started(recipe).await?;
    let locks = Locks::new(PostgresBackend::new(options(&server, &ours, None)?).await?)?;
    locks.lock("a").acquire().await?.release().await?;
    let authority = server.folder()?.join("ca.pem");
    let url = format!("{}?sslmode=verify-full", server.url());
    PostgresBackend::connect(&format!("{url}&sslrootcert={}", authority.display())).await?;

    let error = refused(options(&server, &other, None)?).await;
    assert_told(&error, ErrorKind::Misconfigured, "secure connection");
    // By the authorities that the system trusts.
    let error = PostgresBackend::connect(&url)
        .await
        .expect_err("not trusted");
    assert_told(&error, ErrorKind::Misconfigured, "secure connection");
    let error = refused(options(&server, &ours, None)?.ssl_mode(PgSslMode::Disable)).await;
    assert_told(&error, ErrorKind::Unauthorized, "let this role in");
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_another_host_is_not_trusted() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Postgres::new().tls(authority.issue("localhost.example")?);
    let server = Server::started(recipe).await?;
    let error = refused(options(&server, &authority, None)?).await;
    assert_told(&error, ErrorKind::Misconfigured, "secure connection");
    let unchecked = options(&server, &authority, None)?.ssl_mode(PgSslMode::VerifyCa);
    PostgresBackend::new(unchecked).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_not_talked_to_in_the_clear() -> Result<()> {
    let authority = Authority::new()?;
    let server = Server::started(Postgres::new()).await?;
    let error = refused(options(&server, &authority, None)?).await;
    assert_told(&error, ErrorKind::Misconfigured, "secure connection");
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_it() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Postgres::new().tls(authority.issue("127.0.0.1")?);
    let server = Server::started(recipe.client_certificates()).await?;
    let shown = authority.issue("postgres")?;
    let backend = PostgresBackend::new(options(&server, &authority, Some(&shown))?).await?;
    Locks::new(backend)?
        .lock("a")
        .acquire()
        .await?
        .release()
        .await?;

    let somebody = authority.issue("somebody")?;
    let unknown = Authority::new()?.issue("postgres")?;
    for (shown, kind) in [
        (None, ErrorKind::Unauthorized),
        (Some(&somebody), ErrorKind::Unauthorized),
        (Some(&unknown), ErrorKind::Misconfigured),
    ] {
        let error = refused(options(&server, &authority, shown)?).await;
        assert_told(&error, kind, "");
    }
    Ok(())
}
