//! Leaders that die, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{ErrorKind, FencingToken, Locks};
use distlock_testbed::{Etcd, EtcdCluster};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{SOON, TTL, acquired, keys_become, locks, locks_for, url_from, waiting};

/// A hold, as its holder saw it: when it had it at the latest, and until when at the least.
#[derive(Clone, Copy, Debug)]
struct Held {
    token: FencingToken,
    from: Instant,
    to: Instant,
}

/// Those who contend for one name, and what they have held.
#[derive(Default)]
struct Contest {
    history: Mutex<Vec<Held>>,
    is_over: AtomicBool,
}

impl Contest {
    fn holds(&self) -> usize {
        self.history.lock().unwrap().len()
    }

    /// Waits until the name has been held so many times more.
    async fn goes_on(&self, holds: usize) -> Result<()> {
        let enough = self.holds() + holds;
        let held = async {
            while self.holds() < enough {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(3 * SOON, held).await.context("too few are let in")
    }
}

/// Holds and releases until it is over, and writes down what it has held.
async fn contend(locks: Locks, contest: Arc<Contest>) -> Result<()> {
    let lock = locks.lock("a");
    while !contest.is_over.load(Ordering::Relaxed) {
        let guard = match lock.acquire_within(SOON).await {
            Ok(guard) => guard,
            Err(error) => {
                let is_of_this = matches!(
                    error.kind(),
                    ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Lost
                );
                assert!(is_of_this, "{error}");
                continue;
            }
        };
        let from = Instant::now();
        let mut to = from;
        for _ in 0..5 {
            sleep(Duration::from_millis(2)).await;
            let now = Instant::now();
            if guard.is_held() {
                to = now;
            }
        }
        let token = guard.token();
        contest
            .history
            .lock()
            .unwrap()
            .push(Held { token, from, to });
        // It may have been lost.
        let _ = guard.release().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hold_is_over_before_the_next_whoever_leads() -> Result<()> {
    const CLIENTS: usize = 6;
    let cluster = EtcdCluster::started(Etcd::new).await?;
    let contest = Arc::<Contest>::default();
    let mut contending = JoinSet::new();
    for client in 0..CLIENTS {
        let locks = locks(&url_from(&cluster, client)).await?;
        contending.spawn(contend(locks, Arc::clone(&contest)));
    }
    for _ in 0..4 {
        contest.goes_on(10).await?;
        let leader = cluster.leader().await?;
        cluster.members[leader].kill().await?;
        cluster.other_leader(leader).await?;
        contest.goes_on(10).await?;
        cluster.members[leader].start().await?;
    }
    contest.is_over.store(true, Ordering::Relaxed);
    while let Some(done) = contending.join_next().await {
        done??;
    }
    let mut history = contest.history.lock().unwrap().clone();
    history.sort_by_key(|held| held.token);
    for pair in history.windows(2) {
        let [one, next] = pair else { continue };
        assert!(one.token < next.token, "{one:?}, {next:?}");
        assert!(one.to < next.from, "two hold: {one:?}, {next:?}");
    }
    let mut client = cluster.members[0].client().await?;
    keys_become(&mut client, "a", 0).await
}

/// Each of them counts the TTL of the dead anew, and ends it all the same.
#[tokio::test]
async fn the_dead_are_outlived_although_the_leader_changes() -> Result<()> {
    let cluster = EtcdCluster::started(Etcd::new).await?;
    let leader = cluster.leader().await?;
    let proxy = cluster.members[leader].proxy().await?;
    let dead = locks(&cluster.members[leader].url_through(&proxy)).await?;
    let other = locks_for(4 * TTL, &url_from(&cluster, leader + 1)).await?;
    let guard = dead.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&other, "a", 1).await?;
    proxy.black_hole();
    for change in 1..=2 {
        sleep(TTL / 2).await;
        cluster.move_leader((leader + change) % 3).await?;
        assert!(!next.is_finished(), "before its TTL");
    }
    let next = timeout(SOON, next).await.context("for good")???;
    assert!(!guard.is_held());
    assert!(next.token() > guard.token());
    Ok(())
}
