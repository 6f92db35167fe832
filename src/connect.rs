//! From a URL to locks: for programs whose store is chosen when they are deployed.

use std::sync::Arc;

use crate::backend::Backend;
use crate::url::StoreUrl;
use crate::{Error, ErrorKind, Locks, Result};

/// Locks of the store at this URL, driven by the runtime in which this is awaited.
///
/// | URL | store | cargo feature |
/// | --- | --- | --- |
/// | `memory:` | this process, **a new store at each call**; to share one, clone a [`MemoryBackend`](crate::memory::MemoryBackend) | |
/// | `redis://user:password@host:6379/0` | the server there, and its database of that number | `redis` |
/// | `redis+unix:///run/redis.sock` | the server at that socket | `redis` |
/// | `redis-cluster://user:password@host:6379` | the cluster of which that server is one | `redis` |
/// | `redis-sentinel://user:password@host:26379/0?primary=name` | the server that the sentinel there takes for the primary of that name | `redis` |
/// | `rediss://…`, `rediss-cluster://…`, `rediss-sentinel://…` | the same by TLS | `redis-tls` |
/// | `sqlite:///var/lib/app/locks.db` | the file at that absolute path: three slashes | `sqlite` |
/// | `sqlite:locks.db` | the file at that path relative to the working directory | `sqlite` |
/// | `etcd://user:password@host:2379` | the cluster of which that server is one | `etcd` |
/// | `etcds://…` | the same by TLS | `etcd-tls` |
/// | `postgres://user:password@host:5432/database`, `postgresql://…` | that database | `postgres`; by TLS, `postgres-tls` |
/// | `zookeeper://user:password@host:2181,host:2181/path` | the ensemble of those servers, below that path | `zookeeper` |
/// | `zookeepers://…` | the same by TLS | `zookeeper-tls` |
///
/// Options follow as `?option=value&…`:
///
/// | option | store | meaning |
/// | --- | --- | --- |
/// | `ttl` | all | as [`LocksBuilder::ttl`](crate::LocksBuilder::ttl): `10s`, `1m 30s`, `500ms` |
/// | `namespace` | all | as [`LocksBuilder::namespace`](crate::LocksBuilder::namespace) |
/// | `label` | all | as [`LocksBuilder::label`](crate::LocksBuilder::label) |
/// | `nodes` | `redis-cluster`, `redis-sentinel`, `etcd` | further servers of the cluster, or further sentinels: `host:port,host:port` |
/// | `primary` | `redis-sentinel` | the name by which the sentinels know the primary |
/// | `machine` | `sqlite` | what identifies this machine, as `SqliteOptions::machine` |
/// | `cacert`, `cert`, `key` | `etcds`, `zookeepers` | files in PEM: whom to trust, and what to show |
/// | `sslmode`, `sslrootcert`, `sslcert`, `sslkey` | `postgres` | as those of libpq |
/// | `host` | `postgres` | the folder of the server's socket, instead of a host |
/// | `tick_time`, `max_session_timeout` | `zookeeper`, `zookeepers` | the servers' `tickTime` and `maxSessionTimeout`, if they are not 2 s and 20 ticks |
///
/// Paths and values are percent-encoded UTF-8 (`%20` is a space, `%40` an `@`, and `+` is a plus).
/// Nothing in a URL is ignored: what is not understood is an error. For everything that a URL
/// cannot say there is [`Locks::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> distlock::Result<()> {
/// let locks = distlock::connect("memory:?ttl=10s&namespace=shop").await?;
/// let guard = locks.lock("orders/42").acquire().await?;
/// assert_eq!(guard.name().namespace(), "shop");
/// # guard.release().await
/// # }
/// ```
///
/// # Errors
/// * `InvalidInput`: the URL cannot be read, or has a scheme, option or value that is none; the
///   message says what is allowed. No message repeats a URL's password.
/// * `Misconfigured`: the store is known, but its cargo feature is off; or there is no tokio
///   runtime.
/// * What the store says when it is opened.
///
/// # Cancel safety
/// Dropping the future gives up what was opened so far; no lock is involved yet.
pub async fn connect(url: &str) -> Result<Locks> {
    let url = StoreUrl::parse(url)?;
    let mut builder = Locks::builder();
    if let Some(ttl) = url.duration(TTL)? {
        builder = builder.ttl(ttl);
    }
    if let Some(namespace) = url.option(NAMESPACE) {
        builder = builder.namespace(namespace);
    }
    if let Some(label) = url.option(LABEL) {
        builder = builder.label(label);
    }
    builder.build(url.open().await?)
}

/// The store at this URL, for [`LocksBuilder::build`](crate::LocksBuilder::build). The URLs are
/// those of [`connect`], with the store's own options only: `ttl`, `namespace` and `label` belong
/// to the builder.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> distlock::Result<()> {
/// use std::time::Duration;
///
/// let store = distlock::open("memory:").await?;
/// let web = distlock::Locks::builder().label("web").build(store.clone())?;
/// let jobs = distlock::Locks::builder().label("jobs").ttl(Duration::from_secs(60)).build(store)?;
///
/// let guard = jobs.lock("nightly").acquire().await?;
/// assert!(web.lock("nightly").try_acquire().await?.is_none());
/// # guard.release().await
/// # }
/// ```
///
/// # Errors
/// Those of [`connect`], and `InvalidInput` for an option that belongs to the builder.
///
/// # Cancel safety
/// As of [`connect`].
pub async fn open(url: &str) -> Result<Arc<dyn Backend>> {
    let url = StoreUrl::parse(url)?;
    if let Some(option) = LOCKS_OPTIONS
        .iter()
        .find(|option| url.option(option).is_some())
    {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the URL option `{option}` is one of locks, and `open` gives only the store: use \
                 `Locks::builder().{option}(…)`, or `connect`"
            ),
        ));
    }
    url.open().await
}

const TTL: &str = "ttl";
const NAMESPACE: &str = "namespace";
const LABEL: &str = "label";

/// The options that every URL may have: those of the locks, not of the store.
pub(crate) const LOCKS_OPTIONS: [&str; 3] = [TTL, NAMESPACE, LABEL];
