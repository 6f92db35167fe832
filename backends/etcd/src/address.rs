//! URLs of clusters.

use distlock_core::{Error, ErrorKind, Result};
use etcd_client::ConnectOptions;
use percent_encoding::percent_decode_str;
use url::Url;

/// Where servers are, and how to be let in.
pub(crate) struct Address {
    pub(crate) servers: Vec<String>,
    pub(crate) options: ConnectOptions,
}

/// The port that is meant where none is told.
const PORT: u16 = 2379;

impl Address {
    /// What a URL says. Errors quote nothing of it but the names of options: it may hold a
    /// password.
    pub(crate) fn parsed(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| no_url().with_source(error))?;
        let scheme = match url.scheme() {
            "etcd" => "http",
            "etcds" => "https",
            _ => return Err(no_url()),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.filter(|_| matches!(url.path(), "" | "/"));
        let first = format!(
            "{}:{}",
            host.ok_or_else(no_url)?,
            url.port().unwrap_or(PORT)
        );
        let mut servers = vec![format!("{scheme}://{first}")];
        let mut tls = Tls::default();
        for (option, value) in url.query_pairs() {
            match &*option {
                "nodes" => {
                    let others = value.split(',').filter(|other| !other.is_empty());
                    let others = others.map(|other| Ok(format!("{scheme}://{}", node(other)?)));
                    servers.extend(others.collect::<Result<Vec<_>>>()?);
                }
                "cacert" if scheme == "https" => tls.authority = Some(value.into_owned()),
                "cert" if scheme == "https" => tls.certificate = Some(value.into_owned()),
                "key" if scheme == "https" => tls.key = Some(value.into_owned()),
                _ => return Err(no_url()),
            }
        }
        let mut options = user(&url, ConnectOptions::new())?;
        if scheme == "https" {
            options = tls.applied_to(options)?;
        }
        Ok(Self { servers, options })
    }
}

/// Another server: a host, and a port if it is not the usual one.
fn node(named: &str) -> Result<String> {
    let url = Url::parse(&format!("etcd://{named}")).ok();
    let url = url.filter(|url| {
        url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && matches!(url.path(), "" | "/")
    });
    let host = url
        .as_ref()
        .and_then(Url::host_str)
        .filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| {
        invalid("the URL option `nodes` is a list of further servers: `host:port,host:port`")
    })?;
    let port = url.as_ref().and_then(Url::port).unwrap_or(PORT);
    Ok(format!("{host}:{port}"))
}

fn user(url: &Url, options: ConnectOptions) -> Result<ConnectOptions> {
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8();
        text.map_err(|_| invalid("the user or the password in the URL is no percent-encoded UTF-8"))
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(options),
        ("", Some(_)) | (_, None) => Err(invalid(
            "the URL of an etcd names a user with a password: `etcd://user:password@host`",
        )),
        (user, Some(password)) => Ok(options.with_user(decoded(user)?, decoded(password)?)),
    }
}

/// The files that secure connections take.
#[derive(Default)]
struct Tls {
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Tls {
    #[cfg(feature = "tls")]
    fn applied_to(self, options: ConnectOptions) -> Result<ConnectOptions> {
        use etcd_client::{Certificate, Identity, TlsOptions};

        let mut tls = TlsOptions::new();
        tls = match self.authority {
            Some(path) => tls.ca_certificate(Certificate::from_pem(read("cacert", &path)?)),
            None => tls.with_enabled_roots(),
        };
        tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => tls.identity(Identity::from_pem(
                read("cert", &certificate)?,
                read("key", &key)?,
            )),
            (None, None) => tls,
            _ => return Err(invalid("the URL options `cert` and `key` go together")),
        };
        Ok(options.with_tls(tls))
    }

    #[cfg(not(feature = "tls"))]
    fn applied_to(self, _options: ConnectOptions) -> Result<ConnectOptions> {
        let Self { .. } = self;
        Err(Error::new(
            ErrorKind::Misconfigured,
            "TLS is not built into this program; turn on the cargo feature `tls` of \
             `distlock-etcd`",
        ))
    }
}

#[cfg(feature = "tls")]
fn read(option: &str, path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let message = format!("the file of the URL option `{option}` cannot be read");
        Error::new(ErrorKind::Misconfigured, message).with_source(error)
    })
}

fn no_url() -> Error {
    invalid(
        "the URL of an etcd is `etcd://host:port?nodes=host:port,host:port`, with `user:password@` \
         before the first host where it takes one; by TLS it begins with `etcds:`, and may have \
         the options `cacert`, `cert` and `key`, which are paths of files",
    )
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_servers_are_named() {
        let servers = |url| Address::parsed(url).unwrap().servers;
        assert_eq!(servers("etcd://one"), ["http://one:2379"]);
        assert_eq!(
            servers("etcd://shop:hush%40@[::1]:1?nodes=two,127.0.0.1:3"),
            ["http://[::1]:1", "http://two:2379", "http://127.0.0.1:3"]
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error_without_secrets() {
        for url in [
            "",
            "etcd:",
            "etcd://",
            "http://shop:hush@one",
            "etcd://shop:hush@one:port",
            "etcd://shop:hush@one/shop",
            "etcd://shop@one",
            "etcd://:hush@one",
            "etcd://shop:hush%ff@one",
            "etcd://shop:hush@one?nodes=two/hush",
            "etcd://shop:hush@one?nodes=shop:hush%40two",
            "etcd://shop:hush@one?password=hush",
            "etcd://one?cacert=hush",
        ] {
            let error = Address::parsed(url).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }
}
