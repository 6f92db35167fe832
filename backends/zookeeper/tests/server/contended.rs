//! Many who want one name, and somebody else who watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{FencingToken, Locks, Moment};
use distlock_testbed::{ZooKeeper, ZooKeeperEnsemble};
use distlock_zookeeper::zookeeper_client::{AddWatchMode, EventType, PersistentWatcher};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{LONG, SOON, TTL, locks, operator, server};

/// What a client knows of a hold of its own.
struct Held {
    token: FencingToken,
    /// Between these, it was held.
    from: Moment,
    until: Moment,
}

/// How far those who contend have come.
#[derive(Default)]
struct Contest {
    grants: AtomicUsize,
    is_over: AtomicBool,
}

impl Contest {
    /// Waits until the name has been granted so many times more.
    async fn goes_on(&self, grants: usize) -> Result<()> {
        let enough = self.grants.load(Ordering::Relaxed) + grants;
        let granted = async {
            while self.grants.load(Ordering::Relaxed) < enough {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(4 * SOON, granted)
            .await
            .context("too few are let in")
    }
}

/// Holds the name again and again, each time for a moment. Those who are not let in, since an
/// election goes on, come again.
async fn contend(locks: Locks, ttl: Duration, contest: Arc<Contest>) -> Vec<Held> {
    let mut all = Vec::new();
    while !contest.is_over.load(Ordering::Relaxed) {
        let Ok(guard) = locks.lock("x").ttl(ttl).acquire_within(SOON).await else {
            continue;
        };
        contest.grants.fetch_add(1, Ordering::Relaxed);
        let from = Moment::now();
        let mut until = from;
        for _ in 0..3 {
            sleep(Duration::from_millis(1)).await;
            let now = Moment::now();
            if guard.is_held() {
                until = now;
            }
        }
        let token = guard.token();
        all.push(Held { token, from, until });
        // If it was lost, another has it.
        drop(guard.release().await);
    }
    all
}

/// All holds, in the order of their tokens, of which no two were at one time.
async fn apart(contending: JoinSet<Vec<Held>>) -> Result<Vec<Held>> {
    let all = timeout(4 * SOON, contending.join_all()).await?;
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    all.sort_by_key(|held| held.token);
    for pair in all.windows(2) {
        let [one, next] = pair else { continue };
        let (token, next_token) = (one.token, next.token);
        assert!(token < next_token, "{token} twice");
        assert!(one.until <= next.from, "{token} and {next_token} at once");
    }
    Ok(all)
}

/// Of a claim's node: its place in the line, and whether it has come, not gone.
async fn change(watcher: &mut PersistentWatcher) -> Result<(u64, bool)> {
    loop {
        let event = watcher.changed().await;
        let number = event.path.rsplit('-').next();
        let has_come = match event.event_type {
            EventType::NodeCreated => true,
            EventType::NodeDeleted => false,
            _ => continue,
        };
        return Ok((number.context("its number")?.parse()?, has_come));
    }
}

#[tokio::test]
async fn who_watches_sees_the_first_in_line_alone_hold() -> Result<()> {
    const CLIENTS: u64 = 4;
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let first = locks(&server.url()).await?;
    first.lock("x").acquire().await?.release().await?;
    let mut watcher = operator
        .watch("/distlock/x", AddWatchMode::PersistentRecursive)
        .await?;
    let contest = Arc::<Contest>::default();
    let mut contending = JoinSet::new();
    for _ in 0..CLIENTS {
        let locks = locks(&server.url()).await?;
        contending.spawn(contend(locks, LONG, Arc::clone(&contest)));
    }
    contest.goes_on(300).await?;
    contest.is_over.store(true, Ordering::Relaxed);
    let held = apart(contending).await?;
    // The number of the one that was there before is 0.
    let (mut first_in_line, mut next_to_come) = (1, 1);
    let watched = async {
        while first_in_line <= held.len() as u64 {
            let (number, has_come) = change(&mut watcher).await?;
            let expected = if has_come {
                &mut next_to_come
            } else {
                &mut first_in_line
            };
            assert_eq!(number, *expected, "come: {has_come}");
            *expected += 1;
            assert!(next_to_come - first_in_line <= CLIENTS);
        }
        Ok::<(), anyhow::Error>(())
    };
    timeout(SOON, watched).await??;
    assert_eq!(next_to_come, first_in_line, "somebody is left");
    Ok(())
}

#[tokio::test]
async fn no_two_hold_while_leaders_are_killed() -> Result<()> {
    let ensemble = ZooKeeperEnsemble::started(ZooKeeper::new).await?;
    let contest = Arc::<Contest>::default();
    let mut contending = JoinSet::new();
    for _ in 0..3 {
        let locks = locks(&ensemble.url()).await?;
        contending.spawn(contend(locks, TTL, Arc::clone(&contest)));
    }
    for _ in 0..3 {
        contest.goes_on(1).await?;
        sleep(TTL / 2).await;
        let leader = ensemble.leader().await?;
        ensemble.members[leader].kill().await?;
        ensemble.leader().await?;
        contest.goes_on(1).await?;
        ensemble.members[leader].start().await?;
        ensemble.whole().await?;
    }
    contest.is_over.store(true, Ordering::Relaxed);
    apart(contending).await?;
    Ok(())
}
