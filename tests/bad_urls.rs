//! URLs that cannot be right: each is refused with the right kind and a text that helps, and none
//! of them panics or has its password told.

use std::error::Error as _;

use distlock::{Error, ErrorKind};

/// In each URL that has one.
const PASSWORD: &str = "hunter2";

/// A URL, and what the error says.
const INVALID: &[(&str, &str)] = &[
    // No scheme.
    ("", "begins with `memory:`"),
    (":", "begins with `memory:`"),
    ("?", "begins with `memory:`"),
    ("#", "begins with `memory:`"),
    ("memory", "begins with `memory:`"),
    ("memory?ttl=5s", "begins with `memory:`"),
    ("//memory", "begins with `memory:`"),
    ("/var/lib/locks.db", "begins with `memory:`"),
    ("./locks.db", "begins with `memory:`"),
    ("//user:hunter2@host", "begins with `memory:`"),
    ("1memory:", "begins with `memory:`"),
    ("mem ory:", "begins with `memory:`"),
    ("mémory:", "begins with `memory:`"),
    ("%6Demory:", "begins with `memory:`"),
    // Schemes of no store.
    ("memoryy:", "`memoryy:`"),
    ("memory+tls:", "`memory+tls:`"),
    ("http://user:hunter2@host/", "`http:`"),
    ("file:///tmp/locks.db", "`file:`"),
    ("sqlite3:locks.db", "`sqlite3:`"),
    ("C:\\locks.db", "`c:`"),
    ("localhost:6379", "`localhost:`"),
    // What the parser would leave out without a word.
    (" memory:", "no spaces around it"),
    ("memory: ", "no spaces around it"),
    ("memory:\n", "no control characters"),
    ("mem\tory:", "no control characters"),
    ("memory:?label=a\r", "no control characters"),
    ("memory:?label=\u{85}", "no control characters"),
    ("memory:\0", "no control characters"),
    ("\u{feff}memory:", "begins with `memory:`"),
    // Somewhere, for a store that is nowhere.
    ("memory:x", "no host and no path"),
    ("memory:/", "no host and no path"),
    ("memory:///", "no host and no path"),
    ("memory:/x?ttl=5s", "no host and no path"),
    ("memory://host", "no host and no path"),
    ("memory://[::1]", "no host and no path"),
    ("memory://:0", "begins with `memory:`"),
    ("memory://host:99999", "cannot be read"),
    ("memory://[::1", "cannot be read"),
    ("memory://user:hunter2@host", "no host and no path"),
    ("memory://user:hunter2@host:port", "cannot be read"),
    ("memory://:hunter2@", "cannot be read"),
    // A fragment.
    ("memory:#", "`#`"),
    ("memory:#hunter2", "`#`"),
    ("memory:?ttl=5s#", "`#`"),
    ("sqlite:locks#1.db", "`#`"),
    // Options.
    ("memory:?x", "no URL option `x`"),
    ("memory:?x=1&ttl=5s", "no URL option `x`"),
    ("memory:?Ttl=5s", "no URL option `Ttl`"),
    ("memory:?%74tl=5s", "no URL option of that name"),
    ("memory:? ttl=5s", "no URL option of that name"),
    ("memory:?=", "no URL option"),
    ("memory:?machine=a", "no URL option `machine`"),
    ("memory:?password:hunter2@host", "no `@` in its options"),
    ("memory:?ttl=5s;label=a", "such as `10s`"),
    ("memory:?ttl=5s&ttl=5s", "twice"),
    ("memory:?label=a&ttl=5s&label=b", "twice"),
    ("memory:?ttl", "has no value"),
    ("memory:?ttl=", "has no value"),
    ("memory:?label=&ttl=5s", "has no value"),
    ("memory:?label=me@host", "`%40`"),
    ("memory://user:?hunter2=x@host", "no `@` in its options"),
    ("memory://user:?ttl=hunter2@host", "no `@` in its options"),
    (
        "memory://user:?ttl=5s&hunter2&b@host",
        "no `@` in its options",
    ),
    // Durations.
    ("memory:?ttl=5", "such as `10s`"),
    ("memory:?ttl=s", "such as `10s`"),
    ("memory:?ttl=-5s", "such as `10s`"),
    ("memory:?ttl=+5s", "such as `10s`"),
    ("memory:?ttl=5,5s", "such as `10s`"),
    ("memory:?ttl=5S", "such as `10s`"),
    ("memory:?ttl=0x5s", "such as `10s`"),
    ("memory:?ttl=٥s", "such as `10s`"),
    ("memory:?ttl=inf", "such as `10s`"),
    ("memory:?ttl=NaN", "such as `10s`"),
    ("memory:?ttl=99999999999999999999s", "such as `10s`"),
    ("memory:?ttl=18446744073709551615y", "such as `10s`"),
    ("memory:?ttl=5s%00", "without `%00`"),
    ("memory:?ttl=0s", "on the memory store"),
    ("memory:?ttl=1ns", "on the memory store"),
    ("memory:?ttl=9999us", "on the memory store"),
    ("memory:?ttl=367days", "on the memory store"),
    ("memory:?ttl=18446744073709551615s", "on the memory store"),
    // Percent-encoding.
    ("memory:?label=%", "two hexadecimal digits"),
    ("memory:?label=a%4", "two hexadecimal digits"),
    ("memory:?label=%4g", "two hexadecimal digits"),
    ("memory:?label=%%41", "two hexadecimal digits"),
    ("memory:?label=% 41", "two hexadecimal digits"),
    ("memory:?label=%ff", "percent-encoded UTF-8"),
    ("memory:?label=%C3", "percent-encoded UTF-8"),
    ("memory:?label=%ED%A0%80", "percent-encoded UTF-8"),
    ("memory:?label=%C0%AF", "percent-encoded UTF-8"),
    ("memory:?namespace=a%00b", "percent-encoded UTF-8"),
    // What the locks themselves refuse.
    ("memory:?label=%0A", "1 to 256 bytes"),
    ("memory:?label=%C2%85", "1 to 256 bytes"),
    ("memory:?namespace=%7F", "1 to 128 bytes"),
];

fn check(url: &str, kind: ErrorKind, says: &str, error: &Error) {
    assert_eq!(error.kind(), kind, "{url:?}: {error}");
    let text = error.to_string();
    assert!(text.contains(says), "{url:?}: {text}");
    assert!(!text.contains(char::is_control), "{url:?}: {text:?}");
    let mut told = format!("{text} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        told += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    assert!(!told.contains(PASSWORD), "{url:?}: {told}");
}

#[tokio::test]
async fn each_is_refused_with_a_text_that_helps() {
    for (url, says) in INVALID {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, says, &error);
    }
}

/// The same URLs, where options are not those of the locks.
#[tokio::test]
async fn open_refuses_them_as_well() {
    for (url, _) in INVALID {
        let error = distlock::open(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, "", &error);
    }
}

#[tokio::test]
async fn very_long_urls_are_refused_or_taken() {
    let long = "x".repeat(1 << 20);
    for url in [
        long.clone(),
        format!("memory:{long}"),
        format!("memory:?{long}"),
        format!("memory:?label={long}"),
        format!("memory:?ttl={long}"),
        format!("memory:?{}ttl=0s", "&".repeat(1 << 20)),
    ] {
        let error = distlock::connect(&url).await.expect_err("a long URL");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[cfg(not(feature = "redis"))]
#[tokio::test]
async fn redis_tells_its_feature_where_that_is_off() {
    for url in [
        "redis:",
        "redis://user:hunter2@host:6379/0?ttl=5s",
        "redis+unix:///run/redis.sock",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(
            url,
            ErrorKind::Misconfigured,
            "cargo feature `redis`",
            &error,
        );
    }
}

#[cfg(not(feature = "redis-tls"))]
#[tokio::test]
async fn tls_tells_its_feature_where_that_is_off() {
    for url in [
        "rediss://user:hunter2@host",
        "rediss-cluster://user:hunter2@host",
        "rediss-sentinel://user:hunter2@host?primary=one",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        let says = "cargo feature `redis-tls`";
        check(url, ErrorKind::Misconfigured, says, &error);
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_redis_has_a_host_or_a_socket_and_no_option_of_its_client() {
    for (url, says) in [
        ("redis:", "redis://host"),
        ("redis://", "redis://host"),
        ("redis:///0", "redis://host"),
        ("redis://user:hunter2@host/zero", "redis://host"),
        ("redis://user:hunter2@host/0/1", "redis://host"),
        ("redis://user:hunter2@host:port", "cannot be read"),
        ("redis://user:hunter2@host/?protocol=resp2", "`protocol`"),
        ("redis+unix://", "redis+unix:///"),
        ("redis+unix://host/run/redis.sock", "redis+unix:///"),
        ("redis+unix:///run/redis.sock?pass=hunter2", "`pass`"),
        ("redis-cluster:", "redis-cluster://host"),
        ("redis-cluster://", "redis-cluster://host"),
        ("redis-cluster://host?nodes=:1", "`nodes`"),
        ("redis-cluster://host?nodes=one,two:port", "`nodes`"),
        ("redis-cluster://host?nodes=one/0", "`nodes`"),
        ("redis-cluster://host?nodes=user:hunter2%40one", "`nodes`"),
        ("redis-cluster://host?primary=one", "`primary`"),
        ("redis-cluster://user:hunter2@host:port", "cannot be read"),
        ("redis-sentinel://user:hunter2@host", "?primary="),
        ("redis-sentinel://?primary=one", "redis-sentinel://host"),
        (
            "redis-sentinel://user:hunter2@host/zero?primary=one",
            "redis-sentinel://host",
        ),
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, says, &error);
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_redis_that_is_not_there_is_unavailable() {
    for url in [
        "redis://user:hunter2@127.0.0.1:1/0?ttl=5s",
        "redis+unix:///nowhere/redis.sock",
        "redis-cluster://user:hunter2@127.0.0.1:1?nodes=127.0.0.1:2",
        "redis-sentinel://user:hunter2@127.0.0.1:1/0?primary=one&nodes=127.0.0.1:2",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::Unavailable, "reached", &error);
    }
}

#[cfg(not(feature = "sqlite"))]
#[tokio::test]
async fn a_store_whose_feature_is_off_tells_which() {
    for url in [
        "sqlite:",
        "sqlite:locks.db",
        "sqlite://user:hunter2@host/locks.db",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(
            url,
            ErrorKind::Misconfigured,
            "cargo feature `sqlite`",
            &error,
        );
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_file_has_a_path_and_nothing_else() {
    for (url, says) in [
        ("sqlite:", "names no file"),
        ("sqlite:/", "names no file"),
        ("sqlite:dir/", "names no file"),
        ("sqlite://host/locks.db", "names no host"),
        ("sqlite://locks.db", "names no host"),
        ("sqlite://user:hunter2@host/locks.db", "names no host"),
        ("sqlite://:hunter2@/locks.db", "cannot be read"),
        ("sqlite:%", "two hexadecimal digits"),
        ("sqlite:%ff.db", "percent-encoded UTF-8"),
        ("sqlite:a%00.db", "percent-encoded UTF-8"),
        ("sqlite:locks.db?machine=", "has no value"),
        ("sqlite:locks.db?machine=a&machine=a", "twice"),
        (
            "sqlite:locks.db?password=hunter2",
            "no URL option `password`",
        ),
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, says, &error);
    }
}

#[cfg(not(feature = "etcd"))]
#[tokio::test]
async fn etcd_tells_its_feature_where_that_is_off() {
    let url = "etcd://user:hunter2@host:2379?nodes=other&ttl=5s";
    let error = distlock::connect(url).await.expect_err(url);
    let says = "cargo feature `etcd`";
    check(url, ErrorKind::Misconfigured, says, &error);
}

#[cfg(not(feature = "etcd-tls"))]
#[tokio::test]
async fn etcd_tells_its_feature_for_tls_where_that_is_off() {
    let url = "etcds://user:hunter2@host?cacert=/ca.pem";
    let error = distlock::connect(url).await.expect_err(url);
    let says = "cargo feature `etcd-tls`";
    check(url, ErrorKind::Misconfigured, says, &error);
}

#[cfg(feature = "etcd")]
#[tokio::test]
async fn an_etcd_has_hosts_and_no_path() {
    for (url, says) in [
        ("etcd:", "etcd://host"),
        ("etcd://", "etcd://host"),
        ("etcd://user:hunter2@host/shop", "etcd://host"),
        ("etcd://user:hunter2@host:port", "cannot be read"),
        ("etcd://hunter2@host", "user with a password"),
        ("etcd://user:hunter2@host?nodes=two:port", "`nodes`"),
        (
            "etcd://user:hunter2@host?nodes=user:hunter2%40two",
            "`nodes`",
        ),
        ("etcd://user:hunter2@host?cacert=/ca.pem", "`cacert`"),
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, says, &error);
    }
}

#[cfg(feature = "etcd")]
#[tokio::test]
async fn an_etcd_that_is_not_there_is_unavailable() {
    for url in [
        "etcd://127.0.0.1:1?ttl=5s",
        "etcd://user:hunter2@127.0.0.1:1?nodes=127.0.0.1:2",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::Unavailable, "reached", &error);
    }
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn postgres_tells_its_feature_where_that_is_off() {
    for url in [
        "postgres://user:hunter2@host:5432/database?ttl=5s",
        "postgresql://user:hunter2@host?sslmode=require",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        let says = "cargo feature `postgres`";
        check(url, ErrorKind::Misconfigured, says, &error);
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_postgres_has_no_option_that_is_not_understood() {
    for (url, says) in [
        ("postgres://user:hunter2@host:port/db", "cannot be read"),
        ("postgres://user:hunter2%ff@host/db", "cannot be used"),
        ("postgres://user:hunter2@host?dbname=db", "`dbname`"),
        (
            "postgresql://user:hunter2@host?sslmode=hardly",
            "cannot be used",
        ),
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, says, &error);
    }
}

#[cfg(not(feature = "zookeeper"))]
#[tokio::test]
async fn zookeeper_tells_its_feature_where_that_is_off() {
    for url in [
        "zookeeper://user:hunter2@host:2181?ttl=5s",
        "zookeeper://one:2181,two:2181/path",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        let says = "cargo feature `zookeeper`";
        check(url, ErrorKind::Misconfigured, says, &error);
    }
}

#[cfg(not(feature = "zookeeper-tls"))]
#[tokio::test]
async fn zookeeper_tells_its_feature_for_tls_where_that_is_off() {
    let url = "zookeepers://user:hunter2@one:2181,two:2181?cacert=ca.pem";
    let error = distlock::connect(url).await.expect_err(url);
    let says = "cargo feature `zookeeper-tls`";
    check(url, ErrorKind::Misconfigured, says, &error);
}

#[cfg(feature = "zookeeper")]
#[tokio::test]
async fn an_ensemble_has_hosts_and_no_option_that_is_not_understood() {
    for (url, says) in [
        ("zookeeper:", "zookeeper://host"),
        ("zookeeper:///path", "zookeeper://host"),
        ("zookeeper://user@host", "zookeeper://host"),
        ("zookeeper://user:hunter2@one,two:port", "zookeeper://host"),
        ("zookeeper://user:hunter2@one,,two", "zookeeper://host"),
        ("zookeeper://user:hunter2@one:port,two", "cannot be read"),
        ("zookeeper://user:hunter2@one/path/", "zookeeper://host"),
        ("zookeeper://one?tick_time=often", "`tick_time`"),
        ("zookeeper://one?tick_time=0s", "tick"),
        ("zookeeper://one?sasl=hunter2", "`sasl`"),
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::InvalidInput, says, &error);
    }
}

#[cfg(feature = "zookeeper")]
#[tokio::test]
async fn an_ensemble_that_is_not_there_is_unavailable() {
    for url in [
        "zookeeper://user:hunter2@127.0.0.1:1?ttl=5s",
        "zookeeper://user:hunter2@127.0.0.1:1,127.0.0.1:2/path?ttl=5s",
    ] {
        let error = distlock::connect(url).await.expect_err(url);
        check(url, ErrorKind::Unavailable, "reached", &error);
    }
}
