//! Who is believed to be whom, by TLS.

use std::fs;

use anyhow::Result;
use distlock_core::ErrorKind;
use distlock_testbed::{Authority, Identity, Server, ZooKeeper};
use tempfile::TempDir;

use crate::refusals::{assert_told, refused};
use crate::{locks, told};

/// Files that a URL can name.
struct Files(TempDir);

impl Files {
    fn new(trusted: &Authority, shown: Option<&Identity>) -> Result<Self> {
        let files = Self(tempfile::tempdir()?);
        fs::write(files.path("ca.pem"), trusted.certificate())?;
        if let Some(shown) = shown {
            fs::write(files.path("cert.pem"), &shown.certificate)?;
            fs::write(files.path("key.pem"), &shown.key)?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn url(&self, server: &Server<ZooKeeper>) -> String {
        let url = format!("{}?cacert={}", server.url(), self.path("ca.pem"));
        match fs::exists(self.path("key.pem")) {
            Ok(true) => {
                let [cert, key] = ["cert.pem", "key.pem"].map(|name| self.path(name));
                format!("{url}&cert={cert}&key={key}")
            }
            _ => url,
        }
    }
}

#[tokio::test]
async fn a_certificate_is_trusted_if_it_is_the_right_one() -> Result<()> {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let server = Server::started(ZooKeeper::new().tls(ours.issue("127.0.0.1")?)?).await?;
    let files = Files::new(&ours, None)?;
    let locks = locks(&files.url(&server)).await?;
    locks.lock("a").acquire().await?.release().await?;

    // Of an authority that is not trusted, and of a host that it is not issued for.
    let other = Files::new(&other, None)?;
    let elsewhere = files.url(&server).replace("127.0.0.1", "localhost");
    // Without TLS, the server does not know what it is told.
    let plain = server.url().replace("zookeepers", "zookeeper");
    for url in [other.url(&server), elsewhere, plain] {
        assert_told(
            &refused(&told(&url)).await,
            ErrorKind::Unavailable,
            "trusts",
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_it() -> Result<()> {
    let authority = Authority::new()?;
    let recipe = ZooKeeper::new().tls(authority.issue("127.0.0.1")?)?;
    let server = Server::started(recipe.client_certificates()).await?;
    let shown = authority.issue("client")?;
    let locks = locks(&Files::new(&authority, Some(&shown))?.url(&server)).await?;
    locks.lock("a").acquire().await?.release().await?;

    let unknown = Authority::new()?.issue("client")?;
    for shown in [None, Some(&unknown)] {
        let error = refused(&told(&Files::new(&authority, shown)?.url(&server))).await;
        assert_told(&error, ErrorKind::Unavailable, "trusts");
    }
    Ok(())
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_told() -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.issue("client")?;
    let files = Files::new(&authority, Some(&identity))?;
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| files.path(name));
    for (options, kind, text) in [
        (String::new(), ErrorKind::InvalidInput, "`cacert`"),
        (
            format!("cacert={ca}&cert={cert}"),
            ErrorKind::InvalidInput,
            "together",
        ),
        (
            format!("cacert={ca}&key={key}"),
            ErrorKind::InvalidInput,
            "together",
        ),
        (
            format!("cacert={ca}s"),
            ErrorKind::Misconfigured,
            "`cacert` cannot be read",
        ),
        (
            format!("cacert={key}"),
            ErrorKind::Misconfigured,
            "`cacert`",
        ),
        (
            format!("cacert={ca}&cert={cert}&key={ca}"),
            ErrorKind::Misconfigured,
            "`key`",
        ),
    ] {
        let error = refused(&format!("zookeepers://127.0.0.1?{options}")).await;
        assert_told(&error, kind, text);
        let told = format!("{error} {error:?}");
        assert!(!told.contains(&identity.key), "{told}");
    }
    let error = refused(&format!("zookeeper://127.0.0.1?cacert={ca}")).await;
    assert_told(&error, ErrorKind::InvalidInput, "by TLS");
    Ok(())
}
