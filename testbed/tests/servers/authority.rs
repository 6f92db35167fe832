//! Certificates, as `openssl` and the clients of the servers judge them: clients of another make.

use std::process::{Command, Output};

use anyhow::Result;
use distlock_testbed::{Authority, Identity, Postgres, Recipe, Redis, Server, ZooKeeper};
use tempfile::TempDir;

#[tokio::test]
async fn redis_shows_its_certificate() -> Result<()> {
    let authority = Authority::new()?;
    let redis = Server::started(Redis::new().tls(authority.issue("127.0.0.1")?)).await?;
    assert!(redis.url().starts_with("rediss://"));
    assert!(is_trusted(&redis, &[], &authority, "127.0.0.1")?);
    assert!(!is_trusted(&redis, &[], &authority, "127.0.0.2")?);
    assert!(!is_trusted(&redis, &[], &Authority::new()?, "127.0.0.1")?);
    Ok(())
}

#[tokio::test]
async fn postgres_shows_its_certificate() -> Result<()> {
    let authority = Authority::new()?;
    let postgres = Server::started(Postgres::new().tls(authority.issue("127.0.0.1")?)).await?;
    let postgres_first = &["-starttls", "postgres"];
    assert!(is_trusted(
        &postgres,
        postgres_first,
        &authority,
        "127.0.0.1"
    )?);
    assert!(!is_trusted(
        &postgres,
        postgres_first,
        &Authority::new()?,
        "127.0.0.1"
    )?);
    Ok(())
}

#[tokio::test]
async fn zookeeper_shows_its_certificate() -> Result<()> {
    let authority = Authority::new()?;
    let zookeeper = ZooKeeper::new().tls(authority.issue("127.0.0.1")?)?;
    let zookeeper = Server::started(zookeeper).await?;
    assert!(zookeeper.url().starts_with("zookeepers://"));
    assert!(is_trusted(&zookeeper, &[], &authority, "127.0.0.1")?);
    assert!(!is_trusted(&zookeeper, &[], &authority, "127.0.0.2")?);
    assert!(!is_trusted(
        &zookeeper,
        &[],
        &Authority::new()?,
        "127.0.0.1"
    )?);
    Ok(())
}

#[tokio::test]
async fn redis_asks_clients_for_theirs() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Redis::new().tls(authority.issue("127.0.0.1")?);
    let redis = Server::started(recipe.setting("tls-auth-clients yes")).await?;
    let ping = |identity: Option<&Identity>| -> Result<bool> {
        let files = Files::new(identity)?;
        let mut cli = Command::new("redis-cli");
        cli.args(["--tls", "--cacert"])
            .arg(redis.folder()?.join("ca.pem"));
        if identity.is_some() {
            cli.arg("--cert").arg(files.path("cert.pem"));
            cli.arg("--key").arg(files.path("key.pem"));
        }
        let port = redis.address().port().to_string();
        let Output { stdout, .. } = cli
            .args(["-h", "127.0.0.1", "-p", &port, "PING"])
            .output()?;
        Ok(stdout.trim_ascii() == b"PONG")
    };
    assert!(ping(Some(&authority.issue("somebody")?))?);
    assert!(!ping(Some(&Authority::new()?.issue("somebody")?))?);
    assert!(!ping(None)?);
    Ok(())
}

#[tokio::test]
async fn postgres_asks_clients_for_theirs() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Postgres::new().tls(authority.issue("127.0.0.1")?);
    let postgres = Server::started(recipe.client_certificates()).await?;
    let select = |identity: Option<&Identity>, mode: &str| -> Result<bool> {
        let files = Files::new(identity)?;
        let mut url = format!(
            "{}?sslmode={mode}&sslrootcert={}",
            postgres.url(),
            postgres.folder()?.join("ca.pem").display()
        );
        if identity.is_some() {
            let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
            url += &format!("&sslcert={}&sslkey={}", cert.display(), key.display());
        }
        let psql = Command::new("psql")
            .args(["-c", "select 1", &url])
            .output()?;
        Ok(psql.status.success())
    };
    assert!(select(Some(&authority.issue("postgres")?), "verify-full")?);
    assert!(!select(Some(&authority.issue("somebody")?), "verify-full")?);
    assert!(!select(
        Some(&Authority::new()?.issue("postgres")?),
        "verify-full"
    )?);
    assert!(!select(None, "verify-full")?);
    assert!(!select(None, "disable")?);
    Ok(())
}

/// Whether a client that trusts this authority trusts the server to be the one of this address.
fn is_trusted<R: Recipe>(
    server: &Server<R>,
    options: &[&str],
    authority: &Authority,
    address: &str,
) -> Result<bool> {
    let files = Files::new(Some(&authority.issue("nobody")?))?;
    let client = Command::new("openssl")
        .args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-verify_ip",
            address,
        ])
        .args(["-connect", &server.address().to_string()])
        .arg("-CAfile")
        .arg(files.path("ca.pem"))
        .args(options)
        .stdin(std::process::Stdio::null())
        .output()?;
    Ok(client.status.success())
}

/// An identity, in files that only this user may read.
struct Files(TempDir);

impl Files {
    fn new(identity: Option<&Identity>) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;

        let files = Self(tempfile::tempdir()?);
        if let Some(identity) = identity {
            std::fs::write(files.path("ca.pem"), &identity.authority)?;
            std::fs::write(files.path("cert.pem"), &identity.certificate)?;
            std::fs::write(files.path("key.pem"), &identity.key)?;
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(files.path("key.pem"), private)?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}
