//! What many tasks of one client ask at once goes out together, and comes back to each.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use distlock_core::{ErrorKind, FencingToken, Guard, Locks, Loss};
use distlock_etcd::EtcdBackend;
use distlock_testbed::{Etcd, Server, Way};
use etcd_client::{Client, Permission};
use tokio::runtime::{self, Runtime};
use tokio::time::{sleep, timeout};

use crate::operators::lease_of;
use crate::refusals::{PASSWORD, assert_told, of_user};
use crate::{LONG, SOON, TTL, acquired, keys, keys_become, locks, locks_for, server};

const TASKS: usize = 40;

fn names() -> impl Iterator<Item = String> {
    (0..TASKS).map(|number| format!("some-{number}"))
}

/// Locks of all of the names, by a task each.
async fn all_acquired(locks: &Locks) -> Result<Vec<Guard>> {
    let acquiring: Vec<_> = names().map(|name| acquired(locks, &name)).collect();
    let mut guards = Vec::new();
    for acquiring in acquiring {
        guards.push(timeout(SOON, acquiring).await???);
    }
    Ok(guards)
}

async fn all_released(guards: Vec<Guard>) -> Result<()> {
    let releasing: Vec<_> = guards
        .into_iter()
        .map(|guard| tokio::spawn(guard.release()))
        .collect();
    for releasing in releasing {
        timeout(SOON, releasing).await???;
    }
    Ok(())
}

/// That the server shows just these, each with the number of its token; and those numbers.
async fn shown(client: &mut Client, guards: &[Guard]) -> Result<BTreeSet<i64>> {
    let mut numbers = BTreeSet::new();
    for guard in guards {
        let keys = keys(client, guard.name().as_str()).await?;
        let [(_, number)] = keys[..] else {
            panic!("{}: {keys:?}", guard.name());
        };
        assert_eq!(
            guard.token(),
            FencingToken::from_number(number.unsigned_abs())?
        );
        assert!(guard.is_held());
        numbers.insert(number);
    }
    Ok(numbers)
}

async fn no_keys(client: &mut Client) -> Result<()> {
    for name in names() {
        keys_become(client, &name, 0).await?;
    }
    Ok(())
}

async fn revision(client: &mut Client) -> Result<i64> {
    let answer = client.get("x", None).await?;
    Ok(answer.header().context("no header")?.revision())
}

#[tokio::test]
async fn what_many_ask_at_once_is_done_in_few_steps() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
    locks.lock("a").acquire().await?.release().await?;
    for _ in 0..3 {
        proxy.stall(Way::ToServer);
        let healing = async {
            sleep(Duration::from_millis(200)).await;
            proxy.heal().await
        };
        let (guards, healed) = tokio::join!(all_acquired(&locks), healing);
        healed?;
        let guards = guards?;
        let steps = shown(&mut client, &guards).await?.len();
        assert!(steps < TASKS / 2, "{steps} steps");
        let before = revision(&mut client).await?;
        all_released(guards).await?;
        let steps = revision(&mut client).await? - before;
        assert!(steps < TASKS as i64 / 2, "{steps} steps");
        no_keys(&mut client).await?;
    }
    Ok(())
}

/// Each would wait for another's answer before it asks.
#[tokio::test]
async fn who_asks_at_once_waits_for_no_others_answer() -> Result<()> {
    const WAY: Duration = Duration::from_secs(1);
    let server = server().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
    locks.lock("a").acquire().await?.release().await?;
    proxy.delay(Way::ToClient, WAY);
    let began = Instant::now();
    let guards = all_acquired(&locks).await?;
    let took = began.elapsed();
    assert!(took >= WAY && took < WAY * 9 / 5, "{took:?}");
    proxy.heal().await?;
    all_released(guards).await
}

#[tokio::test]
async fn one_that_is_refused_harms_no_others() -> Result<()> {
    let server = server().await?;
    server.require_users(PASSWORD).await?;
    let mut root = server.client_of("root", PASSWORD).await?;
    root.role_add("locks").await?;
    root.user_add("some", PASSWORD, None).await?;
    root.user_grant_role("some", "locks").await?;
    let rights = Permission::read_write("distlock/some-").with_prefix();
    root.role_grant_permission("locks", rights).await?;
    let locks = locks_for(LONG, &of_user(&server, "some", PASSWORD)).await?;
    for _ in 0..5 {
        let refused: Vec<_> = (0..8)
            .map(|number| acquired(&locks, &format!("other-{number}")))
            .collect();
        let guards = all_acquired(&locks).await?;
        for refused in refused {
            let error = timeout(SOON, refused).await??.expect_err("a lock");
            assert_told(&error, ErrorKind::Unauthorized, "role grant-permission");
        }
        shown(&mut root, &guards).await?;
        assert!(keys(&mut root, "other-1").await?.is_empty());
        all_released(guards).await?;
        no_keys(&mut root).await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_that_conflicts_harms_no_others() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks_for(LONG, &server.url()).await?;
    let others = (0..8).map(|number| format!("other-{number}"));
    let others: Vec<_> = others.collect();
    let mut permits = Vec::new();
    for other in &others {
        permits.push(locks.semaphore(other, 2).acquire().await?);
    }
    for _ in 0..5 {
        let conflicting: Vec<_> = others.iter().map(|other| acquired(&locks, other)).collect();
        let guards = all_acquired(&locks).await?;
        for conflicting in conflicting {
            let error = timeout(SOON, conflicting).await??.expect_err("a lock");
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
        shown(&mut client, &guards).await?;
        all_released(guards).await?;
        no_keys(&mut client).await?;
    }
    all_released(permits).await
}

/// What is told of one is of no use to another.
#[tokio::test]
async fn each_is_told_what_came_of_its_own() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let locks = locks_for(LONG, &server.url()).await?;
    for _ in 0..5 {
        let mut guards = Vec::new();
        for name in names() {
            guards.push(locks.lock(name).acquire().await?);
        }
        assert_eq!(shown(&mut client, &guards).await?.len(), TASKS);
        all_released(guards).await?;
        no_keys(&mut client).await?;
    }
    Ok(())
}

/// The server refuses all that stands in one transaction with what is under that lease.
#[tokio::test]
async fn a_lease_that_is_gone_ends_only_its_own() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let backend = EtcdBackend::connect(&server.url_through(&proxy)).await?;
    let locks = Locks::builder().ttl(LONG).build(backend.clone())?;
    let others = Locks::builder().ttl(2 * LONG).build(backend)?;
    let (lost, kept) = (
        locks.lock("lost").acquire().await?,
        others.lock("kept").acquire().await?,
    );
    let (key, _) = keys(&mut client, "lost").await?.remove(0);
    let lease = lease_of(&mut client, &key).await?;
    proxy.stall(Way::ToServer);
    let beside: Vec<_> = (0..TASKS)
        .map(|number| acquired(&others, &format!("beside-{number}")))
        .collect();
    let revoking = async {
        sleep(Duration::from_millis(200)).await;
        client.lease_revoke(lease).await?;
        proxy.heal().await
    };
    let (guards, revoked) = tokio::join!(all_acquired(&locks), revoking);
    revoked?;
    let mut guards = guards?;
    for beside in beside {
        guards.push(timeout(SOON, beside).await???);
    }
    assert_eq!(timeout(SOON, lost.lost()).await?, Loss::Revoked);
    kept.ensure(LONG).await?;
    guards.push(kept);
    shown(&mut client, &guards).await?;
    all_released(guards).await?;
    no_keys(&mut client).await
}

/// By its default it takes 128 conditions, of which each lock has three.
#[tokio::test]
async fn a_server_that_takes_little_at_once_is_asked_for_less() -> Result<()> {
    let server = Server::started(Etcd::new().flag("--max-txn-ops=12")).await?;
    let mut client = server.client().await?;
    let locks = locks(&server.url()).await?;
    let mut steps = TASKS;
    for _ in 0..5 {
        let guards = all_acquired(&locks).await?;
        steps = shown(&mut client, &guards).await?.len();
        all_released(guards).await?;
        no_keys(&mut client).await?;
    }
    assert!(steps < TASKS, "each is asked for by itself");
    Ok(())
}

#[tokio::test]
async fn a_full_server_lets_go_of_many_at_once() -> Result<()> {
    // Whole pages, so that it is full to the last.
    let full = Etcd::new().flag("--quota-backend-bytes=409600");
    let server = Server::started(full).await?;
    let mut client = server.client().await?;
    let locks = locks_for(LONG, &server.url()).await?;
    let guards = all_acquired(&locks).await?;
    let filled = async { while client.put("x", vec![0; 2_000], None).await.is_ok() {} };
    timeout(SOON, filled).await?;
    all_released(guards).await?;
    no_keys(&mut client).await
}

/// At every so many bytes, of what is asked or of what is answered.
#[tokio::test]
async fn what_is_cut_off_midway_is_found_out_about() -> Result<()> {
    const BYTES: [u64; 5] = [100, 700, 2_000, 5_000, 9_000];
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
    let mut latest = None;
    for way in [Way::ToServer, Way::ToClient] {
        for bytes in BYTES {
            proxy.break_after(way, bytes);
            let guards = all_acquired(&locks).await?;
            shown(&mut client, &guards).await?;
            assert!(Some(guards[0].token()) > latest);
            latest = Some(guards[0].token());
            proxy.break_after(way, bytes);
            all_released(guards).await?;
            no_keys(&mut client).await?;
            proxy.heal().await?;
        }
    }
    Ok(())
}

/// What was to be sent together was to be sent by it.
#[tokio::test]
async fn tasks_outlive_the_runtime_that_serves_their_connection() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let url = server.url_through(&proxy);
    let serving = Runtime::new()?;
    let backend = serving.spawn(async move { EtcdBackend::connect(&url).await });
    let locks = Locks::builder().ttl(LONG).build(backend.await??)?;
    locks.lock("a").acquire().await?.release().await?;
    proxy.stall(Way::ToServer);
    let ending = async {
        sleep(Duration::from_millis(200)).await;
        serving.shutdown_background();
        proxy.heal().await
    };
    let (guards, ended) = tokio::join!(all_acquired(&locks), ending);
    ended?;
    let guards = guards?;
    shown(&mut client, &guards).await?;
    all_released(guards).await?;
    no_keys(&mut client).await
}

#[tokio::test]
async fn tasks_go_on_when_the_runtime_that_serves_their_connection_is_blocked() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let url = server.url();
    let (connected, made) = tokio::sync::oneshot::channel();
    let (ends, end) = mpsc::channel::<()>();
    let serving = thread::spawn(move || -> Result<()> {
        let serving = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let backend = serving.block_on(EtcdBackend::connect(&url))?;
        connected.send(backend).ok().context("nobody is there")?;
        // Until the sender is dropped.
        let _ = end.recv();
        Ok(())
    });
    let locks = Locks::builder().ttl(LONG).build(made.await?)?;
    let guards = all_acquired(&locks).await?;
    shown(&mut client, &guards).await?;
    all_released(guards).await?;
    no_keys(&mut client).await?;
    drop(ends);
    serving.join().expect("no panic")
}

/// Those who give up take along neither the others nor what these ask later.
#[tokio::test]
async fn who_gives_up_takes_no_others_along() -> Result<()> {
    let server = server().await?;
    let mut client = server.client().await?;
    let proxy = server.proxy().await?;
    let locks = locks_for(LONG, &server.url_through(&proxy)).await?;
    locks.lock("a").acquire().await?.release().await?;
    for _ in 0..5 {
        proxy.stall(Way::ToServer);
        let given_up: Vec<_> = (0..TASKS)
            .map(|number| acquired(&locks, &format!("given-up-{number}")))
            .collect();
        let healing = async {
            sleep(TTL / 40).await;
            for given_up in &given_up {
                given_up.abort();
            }
            proxy.heal().await
        };
        let (guards, healed) = tokio::join!(all_acquired(&locks), healing);
        healed?;
        let guards = guards?;
        shown(&mut client, &guards).await?;
        all_released(guards).await?;
        no_keys(&mut client).await?;
        for number in 0..TASKS {
            keys_become(&mut client, &format!("given-up-{number}"), 0).await?;
        }
    }
    Ok(())
}
