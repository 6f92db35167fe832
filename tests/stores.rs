//! That `docs/stores.md` says of each store what the store says of itself, which the suite holds
//! against what is pinned.

#![cfg(all(
    feature = "etcd",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite",
    feature = "zookeeper"
))]

use std::time::Duration;

use distlock::{Capabilities, Fair, Fencing};
use distlock_testbed::{Etcd, Postgres, Redis, Server, ZooKeeper};

const DOCS: &str = include_str!("../docs/stores.md");

#[tokio::test]
async fn the_table_of_each_store_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/locks.db", folder.path().display());
    let redis = Server::given_or_started(Redis::new()).await.unwrap();
    let postgres = Server::given_or_started(Postgres::new()).await.unwrap();
    let etcd = Server::given_or_started(Etcd::new()).await.unwrap();
    let zookeeper = Server::given_or_started(ZooKeeper::new()).await.unwrap();
    let urls = [
        "memory:".to_owned(),
        redis.url(),
        sqlite,
        etcd.url(),
        postgres.url(),
        zookeeper.url(),
    ];
    for url in urls {
        let store = distlock::open(&url).await.unwrap();
        let capabilities = store.capabilities();
        for (row, begins) in said(capabilities) {
            let cell = cell(capabilities.store, row);
            assert!(
                cell.starts_with(&begins),
                "{}, {row}: `{cell}` is told, `{begins}` is true",
                capabilities.store
            );
        }
    }
}

/// The rows of a table, and how each begins.
fn said(store: &Capabilities) -> [(&'static str, String); 5] {
    let modes = [
        (true, "exclusive"),
        (store.shared, "shared"),
        (store.permits, "permits"),
    ];
    let modes: Vec<_> = modes.into_iter().filter(|(has, _)| *has).collect();
    let modes: Vec<_> = modes.into_iter().map(|(_, mode)| mode).collect();
    let yes_or_no = |is: bool| if is { "yes" } else { "no" };
    let fair = match store.fair {
        Fair::Yes => "yes".to_owned(),
        Fair::UpTo(most) => format!("up to {most} waiters of a client"),
        _ => "no".to_owned(),
    };
    let fencing = match store.fencing {
        Fencing::Strict => "strict",
        _ => "clock-assumed",
    };
    [
        ("modes", modes.join(", ")),
        ("fair, push", format!("{fair}, {}", yes_or_no(store.push))),
        (
            "TTL",
            format!("{} to {}", time(*store.ttl.start()), time(*store.ttl.end())),
        ),
        ("fencing", fencing.to_owned()),
        (
            "may forget a hold early",
            yes_or_no(store.may_forget).to_owned(),
        ),
    ]
}

/// In the greatest unit of which there is one.
fn time(time: Duration) -> String {
    let days = time.as_secs() / (24 * 60 * 60);
    match (days, time.as_secs()) {
        (0, 0) => format!("{} ms", time.as_millis()),
        (0, seconds) => format!("{seconds} s"),
        _ => format!("{days} days"),
    }
}

/// What the first table of a store says under this capability.
fn cell(store: &str, row: &str) -> &'static str {
    let sections = DOCS.split("\n## ");
    let section = sections
        .skip(1)
        .find(|section| section.lines().next() == Some(store));
    let section = section.unwrap_or_else(|| panic!("nothing is told of {store}"));
    section
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {row} | ")))
        .unwrap_or_else(|| panic!("nothing is told of {row} of {store}"))
}
