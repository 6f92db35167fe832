//! What stands on the server, and what comes of it when others touch that.

use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::backend::{Attempt, Backend, ClaimRequest, Patience};
use distlock_core::{Deadline, Locks, Loss, Mode, Name, Ttl};
use distlock_testbed::{Server, ZooKeeper};
use distlock_zookeeper::zookeeper_client::{Acls, CreateMode};
use tokio::time::{sleep, timeout};

use crate::{
    AT_ONCE, LONG, SOON, TTL, acquired, backend, locks, nodes, nodes_become, operator, server,
    waiting,
};

/// Waits until the server watches so many nodes for its clients.
async fn watches_become(server: &Server<ZooKeeper>, count: usize) -> Result<()> {
    let expected = format!("Total watches:{count}\n");
    let watched = async {
        while !server.ask("wchs").await?.contains(&expected) {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    timeout(SOON, watched).await?
}

#[tokio::test]
async fn an_operator_sees_who_holds_and_who_waits() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    let labelled = locks.rw_lock("x").label("the holder");
    let guard = labelled.read().await?;
    let next = tokio::spawn(locks.rw_lock("x").write());
    nodes_become(&operator, "x", 2).await?;
    let nodes = nodes(&operator, "x").await?;
    let [holder, waiter] = &nodes[..] else {
        panic!("{nodes:?}")
    };
    assert!(holder.starts_with("/distlock/x/shared-"), "{holder}");
    assert!(waiter.starts_with("/distlock/x/exclusive-"), "{waiter}");
    let (shown, stat) = operator.get_data(holder).await?;
    let shown = String::from_utf8(shown)?;
    assert!(shown.contains(r#""label":"the holder""#), "{shown}");
    assert_eq!(guard.token().number(), stat.czxid.cast_unsigned());
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_node_that_an_operator_removes_is_a_loss_at_once() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    let mut before = None;
    // One after the other, while none is young and while one is.
    for _ in 0..3 {
        let guard = timeout(SOON, locks.lock("x").ttl(LONG).acquire()).await??;
        assert!(Some(guard.token()) > before);
        before = Some(guard.token());
        operator
            .delete(&nodes(&operator, "x").await?[0], None)
            .await?;
        assert_eq!(timeout(AT_ONCE, guard.lost()).await?, Loss::Revoked);
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_an_operator_ends_is_a_loss_at_once() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    let guards = [
        locks.lock("x").ttl(LONG).acquire().await?,
        locks.lock("y").ttl(LONG).acquire().await?,
    ];
    let sessions = operator.list_children("/~sessions").await?;
    let number = u64::from_str_radix(sessions.first().context("a session")?, 16)?;
    server.end_session(number.cast_signed()).await?;
    for guard in &guards {
        assert_eq!(timeout(AT_ONCE, guard.lost()).await?, Loss::Revoked);
    }
    let next = timeout(SOON, locks.lock("x").acquire()).await??;
    assert!(next.token() > guards[0].token());
    Ok(())
}

#[tokio::test]
async fn a_waiter_whose_session_an_operator_ends_takes_a_place_under_another() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("x").ttl(LONG).acquire().await?;
    let of_holder = operator.list_children("/~sessions").await?;
    let next = acquired(&other, "x", LONG);
    waiting(&one, "x", 1).await?;
    let place = nodes(&operator, "x").await?.remove(1);
    let sessions = operator.list_children("/~sessions").await?;
    let of_waiter = sessions.iter().find(|it| !of_holder.contains(it));
    let number = u64::from_str_radix(of_waiter.context("a session")?, 16)?;
    server.end_session(number.cast_signed()).await?;
    timeout(SOON, async {
        loop {
            let line = nodes(&operator, "x").await?;
            if line.len() == 2 && line[1] != place {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await??;
    assert!(guard.is_held());
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn the_command_line_shows_and_breaks_a_lock() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks
        .lock("orders/42")
        .ttl(LONG)
        .label("the holder")
        .acquire()
        .await?;
    let shown = server.command(&["ls", "/distlock/orders%2F42"]).await?;
    let node = shown
        .split(['[', ']'])
        .find(|it| it.starts_with("exclusive-"));
    let node = format!("/distlock/orders%2F42/{}", node.context(shown.clone())?);
    let shown = server.command(&["get", "-s", &node]).await?;
    assert!(shown.contains(r#""label":"the holder""#), "{shown}");
    let number = format!("cZxid = {:#x}", guard.token().number());
    assert!(shown.contains(&number), "{shown}");
    server.command(&["delete", &node]).await?;
    assert_eq!(timeout(AT_ONCE, guard.lost()).await?, Loss::Revoked);
    Ok(())
}

#[tokio::test]
async fn a_node_that_was_written_to_is_still_watched() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("x").ttl(LONG).acquire().await?;
    let node = &nodes(&operator, "x").await?[0];
    watches_become(&server, 1).await?;
    operator.set_data(node, b"something else", None).await?;
    sleep(Duration::from_millis(200)).await;
    assert!(guard.is_held());
    assert_eq!(locks.inspect("x").await?.holders[0].label, None);
    operator.delete(node, None).await?;
    assert_eq!(timeout(AT_ONCE, guard.lost()).await?, Loss::Revoked);
    Ok(())
}

#[tokio::test]
async fn a_place_in_line_that_an_operator_removes_is_taken_anew() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("x").ttl(LONG).acquire().await?;
    let next = acquired(&other, "x", TTL);
    // Soon after it has come, and when it has waited for a while.
    for waited in [Duration::ZERO, TTL / 2] {
        sleep(waited).await;
        nodes_become(&operator, "x", 2).await?;
        let node = &nodes(&operator, "x").await?[1];
        operator.delete(node, None).await?;
        nodes_become(&operator, "x", 2).await?;
    }
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_that_an_operator_removes_is_made_anew() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("x").ttl(LONG).acquire().await?;
    let next = acquired(&other, "x", LONG);
    nodes_become(&operator, "x", 2).await?;
    for node in nodes(&operator, "x").await?.iter().rev() {
        operator.delete(node, None).await?;
    }
    // Somebody may have come back in the meantime, which is as good.
    drop(operator.delete("/distlock/x", None).await);
    let next = timeout(SOON, next).await???;
    assert!(next.token() > guard.token());
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Revoked);
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn tokens_grow_although_numbers_begin_anew_with_the_folder() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    let mut before = None;
    for _ in 0..3 {
        let guard = locks.lock("x").acquire().await?;
        assert!(nodes(&operator, "x").await?[0].ends_with("-0000000000"));
        assert!(Some(guard.token()) > before);
        before = Some(guard.token());
        guard.release().await?;
        operator.delete("/distlock/x", None).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_ours_does_not_count_and_is_left_alone() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    locks.lock("x").acquire().await?.release().await?;
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    operator
        .create("/distlock/x/exclusive-0000000000", b"", &options)
        .await?;
    let guard = timeout(SOON, locks.lock("x").acquire()).await??;
    assert_eq!(locks.inspect("x").await?.holders.len(), 1);
    guard.release().await?;
    nodes_become(&operator, "x", 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_session_whose_own_node_is_removed_lives_on() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("x").acquire().await?;
    let sessions = operator.list_children("/~sessions").await?;
    let [session] = &sessions[..] else {
        panic!("{sessions:?}")
    };
    let password = format!("super:{}", ZooKeeper::PASSWORD);
    operator.auth("digest", password.as_bytes()).await?;
    operator
        .delete(&format!("/~sessions/{session}"), None)
        .await?;
    sleep(2 * TTL).await;
    guard.ensure(TTL / 2).await?;
    assert_eq!(operator.list_children("/~sessions").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_node_that_nobody_answers_for_is_removed_at_the_next_heartbeat() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let backend = backend(&server.url()).await?;
    let locks = Locks::builder().ttl(TTL).build(backend.clone())?;
    let guard = locks.lock("neighbour").acquire().await?;
    let ttl = Ttl::new(TTL, backend.capabilities())?;
    let request = ClaimRequest::new(Name::new("x")?, Mode::Exclusive, ttl);
    let mut claim = backend.claim(request)?;
    let held = claim.attempt(&Patience::none(SOON)).await?;
    assert!(matches!(held, Attempt::Held(_)));
    nodes_become(&operator, "x", 1).await?;
    drop(claim);
    nodes_become(&operator, "x", 0).await?;
    assert!(guard.is_held());
    Ok(())
}

#[tokio::test]
async fn each_waiter_watches_its_predecessor_alone() -> Result<()> {
    const WAITERS: usize = 8;
    let server = server().await?;
    let first = locks(&server.url()).await?;
    let guard = first.lock("x").ttl(LONG).acquire().await?;
    let mut line = Vec::new();
    for place in 0..WAITERS {
        let locks = locks(&server.url()).await?;
        line.push(acquired(&locks, "x", LONG));
        waiting(&first, "x", place + 1).await?;
    }
    // That of the last is asked for after it has been seen in line.
    watches_become(&server, WAITERS + 1).await?;
    guard.release().await?;
    for next in line {
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_only_waits_asks_for_nothing() -> Result<()> {
    const WAITERS: usize = 8;
    let server = server().await?;
    let (holder, waiter) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let mut guards = Vec::new();
    for number in 0..=WAITERS {
        guards.push(holder.lock(number.to_string()).acquire().await?);
    }
    let mut waiting = Vec::new();
    let mut requests = Vec::new();
    for numbers in [0..1, 1..WAITERS + 1] {
        waiting.extend(numbers.map(|number| acquired(&waiter, &number.to_string(), TTL)));
        sleep(TTL / 2).await;
        let before = server.received().await?;
        sleep(2 * TTL).await;
        requests.push(server.received().await? - before);
    }
    // Heartbeats may come more often.
    let more = requests[1].saturating_sub(requests[0]);
    assert!(more < WAITERS as u64, "{requests:?}");
    drop(guards);
    for next in waiting {
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_of_the_holders_goes_the_next_permit_is_had_at_once() -> Result<()> {
    let server = server().await?;
    for leaving in 0..3 {
        let name = format!("x{leaving}");
        let locks = locks(&server.url()).await?;
        let semaphore = locks.semaphore(&name, 3).ttl(LONG);
        let mut holders = Vec::new();
        for _ in 0..3 {
            holders.push(semaphore.acquire().await?);
        }
        let next = tokio::spawn(semaphore.acquire());
        waiting(&locks, &name, 1).await?;
        holders.remove(leaving).release().await?;
        timeout(AT_ONCE, next).await???.release().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_thousand_holds_take_one_session_and_two_connections() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let acquiring = (0..1000).map(|number| acquired(&locks, &number.to_string(), LONG));
    let acquiring: Vec<_> = acquiring.collect();
    let mut guards = Vec::new();
    for guard in acquiring {
        guards.push(timeout(SOON, guard).await???);
    }
    let connections = server.ask("cons").await?;
    let own = |line: &&str| line.contains("127.0.0.1") && line.contains("sid=");
    let count = connections.lines().filter(own).count();
    assert!(count <= 2, "{connections}");
    assert!(guards.iter().all(distlock_core::Guard::is_held));
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_gone_leaves_no_session() -> Result<()> {
    let server = server().await?;
    let operator = operator(&server.url()).await?;
    let backend = backend(&server.url()).await?;
    let locks = Locks::builder().ttl(LONG).build(backend.clone())?;
    locks.lock("x").acquire().await?.release().await?;
    drop(locks);
    backend.close(Deadline::within(SOON)).await;
    let gone = async {
        while !operator.list_children("/~sessions").await?.is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        Ok::<(), anyhow::Error>(())
    };
    timeout(SOON, gone).await?
}
