use std::fs;

use anyhow::Result;
use distlock_core::ErrorKind;
use distlock_testbed::{Authority, Etcd, Identity, Server};
use tempfile::TempDir;

use crate::locks;
use crate::refusals::{assert_told, refused};

/// Files that a URL can name.
struct Files(TempDir);

impl Files {
    fn new(trusted: &Authority, shown: Option<&Identity>) -> Result<Self> {
        let files = Self(tempfile::tempdir()?);
        fs::write(files.0.path().join("ca.pem"), trusted.certificate())?;
        if let Some(shown) = shown {
            fs::write(files.0.path().join("cert.pem"), &shown.certificate)?;
            fs::write(files.0.path().join("key.pem"), &shown.key)?;
        }
        Ok(files)
    }

    fn url(&self, server: &Server<Etcd>) -> String {
        let path = |name| self.0.path().join(name).display().to_string();
        let url = format!("{}?cacert={}", server.url(), path("ca.pem"));
        match self.0.path().join("key.pem").exists() {
            true => format!("{url}&cert={}&key={}", path("cert.pem"), path("key.pem")),
            false => url,
        }
    }
}

#[tokio::test]
async fn a_certificate_is_trusted_if_it_is_the_right_one() -> Result<()> {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let server = Server::started(Etcd::new().tls(ours.issue("127.0.0.1")?)).await?;
    let url = Files::new(&ours, None)?;
    let locks = locks(&url.url(&server)).await?;
    locks.lock("a").acquire().await?.release().await?;

    let error = refused(&Files::new(&other, None)?.url(&server)).await;
    assert_told(&error, ErrorKind::Misconfigured, "by TLS");
    // Of a host that it is not issued for.
    let elsewhere = url.url(&server).replace("127.0.0.1", "localhost");
    assert_told(
        &refused(&elsewhere).await,
        ErrorKind::Misconfigured,
        "by TLS",
    );
    // By the authorities that the system trusts.
    let error = refused(&server.url()).await;
    assert_told(&error, ErrorKind::Misconfigured, "by TLS");
    // Without TLS, the server does not know what it is told.
    let error = refused(&server.url().replace("etcds", "etcd")).await;
    assert_told(&error, ErrorKind::Unavailable, "");
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_it() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = Etcd::new().tls(authority.issue("127.0.0.1")?);
    let server = Server::started(recipe.client_certificates()).await?;
    let shown = authority.issue("client")?;
    let files = Files::new(&authority, Some(&shown))?;
    let locks = locks(&files.url(&server)).await?;
    locks.lock("a").acquire().await?.release().await?;

    let unknown = Authority::new()?.issue("client")?;
    for shown in [None, Some(&unknown)] {
        let error = refused(&Files::new(&authority, shown)?.url(&server)).await;
        assert!(error.kind() != ErrorKind::Unexpected, "{error}");
    }
    Ok(())
}
