use std::borrow::Cow;
use std::time::Duration;

use distlock_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;
use url::Url;
#[cfg(feature = "tls")]
use zookeeper_client::TlsOptions;

use crate::options::ZooKeeperOptions;

/// What `zookeeper://[user:password@]host[:port],…[/path][?option=value&…]` says.
pub(crate) fn options(url: &str) -> Result<ZooKeeperOptions> {
    let (is_secure, rest) = match url.split_once("://").ok_or_else(no_url)? {
        ("zookeeper", rest) => (false, rest),
        ("zookeepers", rest) => (true, rest),
        _ => return Err(no_url()),
    };
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, ensemble) = match address.rsplit_once('@') {
        Some((user, ensemble)) => (Some(user), ensemble),
        None => (None, address),
    };
    let (servers, path) = ensemble.split_once('/').unwrap_or((ensemble, ""));
    if !servers.split(',').all(is_server) || !is_path(path) {
        return Err(no_url());
    }
    let mut options = ZooKeeperOptions::new(ensemble);
    if let Some(user) = user {
        let (name, password) = user.split_once(':').ok_or_else(no_url)?;
        options = options.user(&decoded(name)?, &decoded(password)?);
    }
    let mut files = Files::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (option, value) = pair.split_once('=').ok_or_else(no_option)?;
        // Some write a space so; a plus is encoded by those.
        let value = decoded(&value.replace('+', " "))?;
        match option {
            "tick_time" => options = options.tick_time(duration(option, &value)?),
            "max_session_timeout" => {
                options = options.max_session_timeout(duration(option, &value)?);
            }
            "cacert" if is_secure => files.authority = Some(value),
            "cert" if is_secure => files.certificate = Some(value),
            "key" if is_secure => files.key = Some(value),
            _ => return Err(no_option()),
        }
    }
    if is_secure {
        options = files.applied_to(options)?;
    }
    Ok(options)
}

/// Whether this is `host` or `host:port`.
fn is_server(server: &str) -> bool {
    let url = Url::parse(&format!("zookeeper://{server}"));
    url.is_ok_and(|url| {
        url.host().is_some()
            && url.port() != Some(0)
            && url.username().is_empty()
            && url.path().is_empty()
    })
}

/// Whether this is the path of a node, without the slash before it.
fn is_path(path: &str) -> bool {
    path.is_empty()
        || path
            .split('/')
            .all(|node| !matches!(node, "" | "." | "..") && !node.contains(char::is_control))
}

/// The files, in PEM, that secure connections take.
#[derive(Default)]
struct Files {
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Files {
    #[cfg(feature = "tls")]
    fn applied_to(self, options: ZooKeeperOptions) -> Result<ZooKeeperOptions> {
        let authority = self.authority.ok_or_else(|| {
            invalid("a URL of `zookeepers:` has the option `cacert`: the file of whom to trust")
        })?;
        let mut tls = TlsOptions::new().with_pem_ca(&read("cacert", &authority)?);
        tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (read("cert", &certificate)?, read("key", &key)?);
                tls.and_then(|tls| tls.with_pem_identity(&certificate, &key))
            }
            (None, None) => tls,
            _ => return Err(invalid("the URL options `cert` and `key` go together")),
        };
        let tls = tls.map_err(|error| {
            let message = "a file of the URL options `cacert`, `cert` and `key` has no such thing";
            Error::new(ErrorKind::Misconfigured, message).with_source(error)
        })?;
        Ok(options.tls(tls))
    }

    #[cfg(not(feature = "tls"))]
    fn applied_to(self, _options: ZooKeeperOptions) -> Result<ZooKeeperOptions> {
        let Self { .. } = self;
        Err(Error::new(
            ErrorKind::Misconfigured,
            "TLS is not built into this program; turn on the cargo feature `tls` of \
             `distlock-zookeeper`",
        ))
    }
}

#[cfg(feature = "tls")]
fn read(option: &str, path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("the file of the URL option `{option}` cannot be read");
        Error::new(ErrorKind::Misconfigured, message).with_source(error)
    })
}

fn duration(option: &str, value: &str) -> Result<Duration> {
    humantime::parse_duration(value).map_err(|error| {
        let message = format!("the URL option `{option}` is a duration such as `2s`");
        invalid(message).with_source(error)
    })
}

fn decoded(text: &str) -> Result<String> {
    let is_byte = |code: &str| {
        let digits = code.get(..2);
        digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    // The library would take what encodes nothing for itself.
    if !text.split('%').skip(1).all(is_byte) {
        return Err(no_url());
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(Cow::into_owned).map_err(|_| no_url())
}

fn no_url() -> Error {
    invalid(
        "an ensemble's URL is `zookeeper://host:port,host:port/path`, with `user:password@` before \
         the hosts where it takes one, both percent-encoded; by TLS it begins with `zookeepers:`",
    )
}

fn no_option() -> Error {
    invalid(
        "the URL of an ensemble has the options `tick_time` and `max_session_timeout`, and by TLS \
         `cacert`, `cert` and `key`, which are paths of files",
    )
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
