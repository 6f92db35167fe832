//! What somebody sees who knows nothing of this library: by `etcdctl`, as an operator would.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use distlock_core::Loss;
use distlock_testbed::{Etcd, Server};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{LONG, SOON, acquired, locks_for, server, waiting};

/// What is written about a key.
#[derive(Debug, Deserialize)]
struct Seen {
    key: String,
    #[serde(default)]
    create_revision: u64,
}

#[derive(Debug, Deserialize)]
struct Event {
    /// None if it was put.
    #[serde(rename = "type")]
    removed: Option<serde_json::Value>,
    kv: Seen,
}

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(rename = "Events", default)]
    events: Option<Vec<Event>>,
}

/// Those who stand in line, by the revisions that made their keys, and who has held.
#[derive(Debug, Default)]
struct Line {
    standing: BTreeMap<u64, String>,
    holders: Vec<u64>,
}

impl Line {
    fn see(&mut self, event: Event) -> Result<()> {
        let Seen {
            key,
            create_revision,
        } = event.kv;
        if event.removed.is_none() {
            let earlier = self.standing.insert(create_revision, key);
            ensure!(earlier.is_none(), "a key was written twice");
        } else {
            self.standing.retain(|_, standing| *standing != key);
        }
        if let Some((oldest, _)) = self.standing.first_key_value()
            && self.holders.last() != Some(oldest)
        {
            self.holders.push(*oldest);
        }
        Ok(())
    }
}

/// Everything that happens to keys that begin like this, from now on.
fn watching(server: &Server<Etcd>, prefix: &str) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut watch = server.control();
    watch.args(["watch", "--prefix", prefix, "--write-out=json", "--rev=1"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn()?;
    let told = watch.stdout.take().context("no output")?;
    Ok((watch, BufReader::new(told).lines()))
}

/// Of the clients that contend, each is granted the lock when its key is the oldest, in that order,
/// under the number of the revision that made it; and nothing is left.
#[tokio::test]
async fn a_watch_sees_one_holder_after_the_other() -> Result<()> {
    const CLIENTS: usize = 6;
    const ROUNDS: usize = 15;
    let server = server().await?;
    let (_watch, mut told) = watching(&server, "distlock/a/")?;
    let mut contending = JoinSet::<distlock_core::Result<Vec<u64>>>::new();
    for _ in 0..CLIENTS {
        let lock = locks_for(LONG, &server.url()).await?.lock("a");
        contending.spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..ROUNDS {
                let guard = lock.acquire().await?;
                numbers.push(guard.token().number());
                guard.release().await?;
            }
            Ok(numbers)
        });
    }
    let mut granted = Vec::new();
    while let Some(numbers) = contending.join_next().await {
        granted.extend(numbers??);
    }
    granted.sort_unstable();
    assert_eq!(granted.len(), CLIENTS * ROUNDS);
    let mut line = Line::default();
    while line.holders.len() < granted.len() || !line.standing.is_empty() {
        let more = timeout(SOON, told.next_line()).await;
        let more = more.with_context(|| format!("no more, and {line:?}"))??;
        let more: Told = serde_json::from_str(&more.context("it has ended")?)?;
        for event in more.events.unwrap_or_default() {
            line.see(event)?;
        }
    }
    assert_eq!(line.holders, granted);
    Ok(())
}

/// What `etcdctl` prints.
async fn printed(server: &Server<Etcd>, arguments: &[&str]) -> Result<Vec<String>> {
    let output = server.control().args(arguments).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout)?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// As the documentation of the stores says.
#[tokio::test]
async fn an_operator_sees_and_breaks_a_lock() -> Result<()> {
    let server = server().await?;
    let (one, other) = (
        locks_for(LONG, &server.url()).await?,
        locks_for(LONG, &server.url()).await?,
    );
    let guard = one.lock("orders/42").acquire().await?;
    let next = acquired(&other, "orders/42");
    waiting(&one, "orders/42", 1).await?;
    let folder = "distlock/orders%2F42/";
    let seen = printed(&server, &["get", "--prefix", folder, "--sort-by=CREATE"]).await?;
    let [holder, details, waiter, _] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(holder.starts_with("distlock/orders%2F42/lock/"), "{holder}");
    for part in ["exclusive", "owner", "label"] {
        assert!(details.contains(part), "{details}");
    }
    assert!(waiter > &String::new() && waiter != holder);
    assert_eq!(printed(&server, &["del", holder]).await?, ["1"]);
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Revoked);
    let next = timeout(SOON, next).await???;
    assert!(next.token() > guard.token());
    let leases = printed(&server, &["lease", "list"]).await?;
    for lease in leases.iter().filter(|line| !line.starts_with("found")) {
        printed(&server, &["lease", "revoke", lease]).await?;
    }
    assert_eq!(timeout(SOON, next.lost()).await?, Loss::Revoked);
    // The tokens grow all the same.
    let again = timeout(SOON, one.lock("orders/42").acquire()).await??;
    assert!(again.token() > next.token());
    assert!(again.valid_for() > Duration::ZERO);
    Ok(())
}
