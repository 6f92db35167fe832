//! What a URL says of where the server is.

use distlock_core::{Error, ErrorKind, Result};
use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError,
    RedisResult, TlsMode,
};
use url::Url;

use crate::route::Route;

/// The way to what this URL names.
pub(crate) fn route(url: &str) -> Result<Route> {
    // The client's own parser reads these; it knows more forms, as `redis+unix`.
    let Some((scheme, kind)) = several(url) else {
        if url.starts_with("rediss:") {
            expect_tls()?;
        }
        let client = url.into_connection_info().and_then(Client::open);
        return client.map(Route::Server).map_err(no_url);
    };
    let Several {
        members,
        settings,
        primary,
    } = Several::parsed(url, scheme)?;
    let tls = scheme == "rediss";
    if tls {
        expect_tls()?;
    }
    match (kind, primary) {
        (Kind::Cluster, None) => cluster(members, settings).map_err(no_url),
        (Kind::Sentinels, Some(primary)) => {
            sentinels(&members, &settings, &primary, tls).map_err(no_url)
        }
        (Kind::Cluster, Some(_)) => Err(invalid("a cluster has no one `primary`")),
        (Kind::Sentinels, None) => Err(invalid(
            "the URL of sentinels ends with `?primary=` and the name that they know it by",
        )),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Cluster,
    Sentinels,
}

/// For a URL of several servers: the scheme for one of them, and what they are.
fn several(url: &str) -> Option<(&'static str, Kind)> {
    let (scheme, _) = url.split_once(':')?;
    match scheme {
        "redis-cluster" => Some(("redis", Kind::Cluster)),
        "rediss-cluster" => Some(("rediss", Kind::Cluster)),
        "redis-sentinel" => Some(("redis", Kind::Sentinels)),
        "rediss-sentinel" => Some(("rediss", Kind::Sentinels)),
        _ => None,
    }
}

/// Several servers, as a URL names them.
struct Several {
    members: Vec<Url>,
    /// Of the first one: user, password and database are the same for all.
    settings: ConnectionInfo,
    primary: Option<String>,
}

impl Several {
    fn parsed(url: &str, scheme: &str) -> Result<Self> {
        let mut first = Url::parse(url).map_err(|error| {
            invalid("the URL of several servers cannot be read").with_source(error)
        })?;
        let (mut others, mut primary) = (String::new(), None);
        for (option, value) in first.query_pairs() {
            match &*option {
                "nodes" => others = value.into_owned(),
                "primary" => primary = Some(value.into_owned()),
                _ => {
                    return Err(invalid(
                        "the URL of several servers has the options `nodes` and `primary`",
                    ));
                }
            }
        }
        first.set_query(None);
        first
            .set_scheme(scheme)
            .map_err(|()| invalid("the URL of several servers names no host"))?;
        let mut members = vec![first.clone()];
        for other in others.split(',').filter(|other| !other.is_empty()) {
            members.push(member(&first, other)?);
        }
        Ok(Self {
            settings: first.into_connection_info().map_err(no_url)?,
            members,
            primary,
        })
    }
}

/// The first one's URL for another host and port.
fn member(first: &Url, other: &str) -> Result<Url> {
    let named = Url::parse(&format!("redis://{other}")).ok().filter(|it| {
        it.username().is_empty() && it.password().is_none() && matches!(it.path(), "" | "/")
    });
    let mut member = first.clone();
    let is_host = named.is_some_and(|it| {
        it.query().is_none()
            && it.host_str().is_some()
            && member.set_host(it.host_str()).is_ok()
            && member.set_port(it.port()).is_ok()
    });
    if is_host {
        Ok(member)
    } else {
        Err(invalid(
            "the URL option `nodes` is a list of further servers: `host:port,host:port`",
        ))
    }
}

fn cluster(members: Vec<Url>, settings: ConnectionInfo) -> RedisResult<Route> {
    // Only to follow a name that has moved: who asks again is the engine, which knows until when.
    const REDIRECTIONS: u32 = 3;
    let mut builder = ClusterClientBuilder::new(members)
        .use_protocol(ProtocolVersion::RESP3)
        .retries(REDIRECTIONS)
        .min_retry_wait(50)
        .max_retry_wait(500);
    let settings = settings.redis_settings();
    if let Some(user) = settings.username() {
        builder = builder.username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.password(password);
    }
    builder.build().map(Route::Cluster)
}

fn sentinels(
    members: &[Url],
    settings: &ConnectionInfo,
    primary: &str,
    tls: bool,
) -> RedisResult<Route> {
    let addresses = members
        .iter()
        .map(|member| Ok(member.clone().into_connection_info()?.addr().clone()))
        .collect::<RedisResult<Vec<ConnectionAddr>>>()?;
    let mut builder = SentinelClientBuilder::new(addresses, primary, SentinelServerType::Master)?;
    if tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    let settings = settings.redis_settings();
    builder = builder.set_client_to_redis_db(settings.db());
    if let Some(user) = settings.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    builder.build().map(Route::sentinels)
}

#[cfg(feature = "tls")]
fn expect_tls() -> Result<()> {
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn expect_tls() -> Result<()> {
    Err(Error::new(
        ErrorKind::Misconfigured,
        "TLS is not built into this program; turn on the cargo feature `tls` of `distlock-redis`",
    ))
}

fn no_url(error: RedisError) -> Error {
    invalid(
        "a Redis server's URL is `redis://host:port/database`, with `user:password@` before the \
         host where it takes one, or `redis+unix:///path/of/socket`; that of a cluster is \
         `redis-cluster://host:port?nodes=host:port,host:port`, and that of sentinels \
         `redis-sentinel://host:port/database?primary=name&nodes=host:port,host:port`",
    )
    .with_source(error)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
