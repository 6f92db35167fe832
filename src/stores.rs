//! Which stores a URL can name, and how each is opened.

use std::pin::Pin;
use std::sync::Arc;

use crate::Result;
use crate::backend::Backend;
use crate::memory::MemoryBackend;
use crate::url::StoreUrl;

/// A store that a URL can name.
pub(crate) struct Store {
    pub(crate) scheme: &'static str,
    /// The URL options that only this store has.
    pub(crate) options: &'static [&'static str],
    /// How it is opened, or the cargo feature that this takes and that is off.
    pub(crate) open: Result<Open, &'static str>,
}

pub(crate) type Open = fn(&StoreUrl) -> Opening<'_>;
pub(crate) type Opening<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn Backend>>> + Send + 'a>>;

/// All stores, also those whose feature is off: an error then says which to turn on.
pub(crate) const STORES: &[Store] = &[
    Store {
        scheme: "memory",
        options: &[],
        open: Ok(memory),
    },
    redis("redis", &[]),
    redis("redis+unix", &[]),
    redis("redis-cluster", &["nodes"]),
    redis("redis-sentinel", &["nodes", "primary"]),
    rediss("rediss", &[]),
    rediss("rediss-cluster", &["nodes"]),
    rediss("rediss-sentinel", &["nodes", "primary"]),
    Store {
        scheme: "sqlite",
        options: &["machine"],
        #[cfg(feature = "sqlite")]
        open: Ok(sqlite),
        #[cfg(not(feature = "sqlite"))]
        open: Err("sqlite"),
    },
    etcd("etcd", &["nodes"]),
    etcds("etcds", &["cacert", "cert", "key", "nodes"]),
    postgres("postgres"),
    postgres("postgresql"),
    zookeeper("zookeeper"),
    zookeepers("zookeepers"),
];

/// The schemes of URLs that may name several hosts: `host:port,host:port`.
pub(crate) const OF_SEVERAL_HOSTS: &[&str] = &["zookeeper", "zookeepers"];

fn memory(url: &StoreUrl) -> Opening<'_> {
    Box::pin(async {
        url.expect_no_path()?;
        Ok(Arc::new(MemoryBackend::new()) as _)
    })
}

const fn redis(scheme: &'static str, options: &'static [&'static str]) -> Store {
    Store {
        scheme,
        options,
        #[cfg(feature = "redis")]
        open: Ok(open_redis),
        #[cfg(not(feature = "redis"))]
        open: Err("redis"),
    }
}

const fn rediss(scheme: &'static str, options: &'static [&'static str]) -> Store {
    Store {
        scheme,
        options,
        #[cfg(feature = "redis-tls")]
        open: Ok(open_redis),
        #[cfg(not(feature = "redis-tls"))]
        open: Err("redis-tls"),
    }
}

#[cfg(feature = "redis")]
fn open_redis(url: &StoreUrl) -> Opening<'_> {
    Box::pin(async {
        let backend = crate::redis::RedisBackend::connect(&url.for_its_store()).await?;
        Ok(Arc::new(backend) as _)
    })
}

#[cfg(feature = "sqlite")]
fn sqlite(url: &StoreUrl) -> Opening<'_> {
    Box::pin(async {
        let path = url.file_path()?;
        let mut options = crate::sqlite::SqliteBackend::options();
        if let Some(machine) = url.option("machine") {
            options = options.machine(machine);
        }
        Ok(Arc::new(options.open(path).await?) as _)
    })
}

const fn etcd(scheme: &'static str, options: &'static [&'static str]) -> Store {
    Store {
        scheme,
        options,
        #[cfg(feature = "etcd")]
        open: Ok(open_etcd),
        #[cfg(not(feature = "etcd"))]
        open: Err("etcd"),
    }
}

const fn etcds(scheme: &'static str, options: &'static [&'static str]) -> Store {
    Store {
        scheme,
        options,
        #[cfg(feature = "etcd-tls")]
        open: Ok(open_etcd),
        #[cfg(not(feature = "etcd-tls"))]
        open: Err("etcd-tls"),
    }
}

#[cfg(feature = "etcd")]
fn open_etcd(url: &StoreUrl) -> Opening<'_> {
    Box::pin(async {
        let url = url.for_its_store();
        Ok(Arc::new(crate::etcd::EtcdBackend::connect(&url).await?) as _)
    })
}

const fn postgres(scheme: &'static str) -> Store {
    Store {
        scheme,
        options: &["host", "sslcert", "sslkey", "sslmode", "sslrootcert"],
        #[cfg(feature = "postgres")]
        open: Ok(open_postgres),
        #[cfg(not(feature = "postgres"))]
        open: Err("postgres"),
    }
}

#[cfg(feature = "postgres")]
fn open_postgres(url: &StoreUrl) -> Opening<'_> {
    Box::pin(async {
        let url = url.for_its_store();
        Ok(Arc::new(crate::postgres::PostgresBackend::connect(&url).await?) as _)
    })
}

const fn zookeeper(scheme: &'static str) -> Store {
    Store {
        scheme,
        options: &["max_session_timeout", "tick_time"],
        #[cfg(feature = "zookeeper")]
        open: Ok(open_zookeeper),
        #[cfg(not(feature = "zookeeper"))]
        open: Err("zookeeper"),
    }
}

const fn zookeepers(scheme: &'static str) -> Store {
    Store {
        scheme,
        options: &["cacert", "cert", "key", "max_session_timeout", "tick_time"],
        #[cfg(feature = "zookeeper-tls")]
        open: Ok(open_zookeeper),
        #[cfg(not(feature = "zookeeper-tls"))]
        open: Err("zookeeper-tls"),
    }
}

#[cfg(feature = "zookeeper")]
fn open_zookeeper(url: &StoreUrl) -> Opening<'_> {
    Box::pin(async {
        let url = url.for_its_store();
        Ok(Arc::new(crate::zookeeper::ZooKeeperBackend::connect(&url).await?) as _)
    })
}
