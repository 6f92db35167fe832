use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_core::{ErrorKind, Loss};
use distlock_testbed::{Postgres, PostgresPair, Server};
use tokio::time::{Instant, sleep, timeout};

use crate::{CLIENTS, NAMES, SOON, TTL, acquired, becomes, locks, number, server, waiting};

/// Those that hold, and those that wait.
const HOLDING: &str = "application_name = 'distlock'";
const WAITING: &str = "application_name like 'distlock waiting%'";

/// Has the server do this to the processes of such clients, and tells to how many.
async fn hit(server: &Server<Postgres>, what: &str, whom: &str) -> Result<i64> {
    let count = format!("select count({what}(pid)) from pg_stat_activity where {whom}");
    number(server, &count).await
}

#[tokio::test]
async fn a_killed_backend_is_told_at_once() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    assert_eq!(hit(&server, "pg_terminate_backend", HOLDING).await?, 1);
    assert_eq!(timeout(TTL / 4, guard.lost()).await?, Loss::Revoked);
    let next = timeout(SOON, locks.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    let error = guard.release().await.expect_err("it was lost");
    assert_eq!(error.kind(), ErrorKind::Lost);
    Ok(())
}

/// What was waited for is held by a connection of its own.
#[tokio::test]
async fn a_killed_backend_that_had_waited_is_told_at_once() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let beside = other.lock("b").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    guard.release().await?;
    let guard = timeout(SOON, next).await???;
    let newest = format!(
        "pid = (select pid from pg_stat_activity where {HOLDING} order by backend_start desc limit 1)"
    );
    assert_eq!(hit(&server, "pg_terminate_backend", &newest).await?, 1);
    assert_eq!(timeout(TTL / 4, guard.lost()).await?, Loss::Revoked);
    assert!(beside.is_held(), "one connection, one loss");
    Ok(())
}

#[tokio::test]
async fn a_waiter_outlasts_that_its_backend_is_killed_or_cancelled() -> Result<()> {
    let server = server().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&two, "a");
    for how in ["pg_terminate_backend", "pg_cancel_backend"] {
        let is_hit = async {
            while hit(&server, how, WAITING).await? == 0 {
                sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        };
        timeout(SOON, is_hit).await??;
    }
    waiting(&one, "a", 1).await?;
    assert!(guard.is_held() && !next.is_finished());
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

/// The wait goes on, and so does that of the one behind, which has not lost its place.
#[tokio::test]
async fn a_waiter_outlasts_that_the_session_of_its_client_is_killed() -> Result<()> {
    let server = server().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&two, "a");
    waiting(&one, "a", 1).await?;
    let not_of_one = format!(
        "{HOLDING} and pid not in (select pid from pg_locks where locktype = 'advisory' \
         and objsubid = 1 and granted)"
    );
    assert_eq!(hit(&server, "pg_terminate_backend", &not_of_one).await?, 1);
    sleep(TTL).await;
    waiting(&one, "a", 1).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

/// Their sessions are kept alive by nothing else.
#[tokio::test]
async fn waiters_keep_their_places_for_many_ttls() -> Result<()> {
    const PATIENT: &str = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                           and now() - query_start > interval '6 s'";
    let server = server().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let three = locks(&server.url()).await?;
    let guard = one.lock("a").acquire().await?;
    let first = acquired(&two, "a");
    waiting(&one, "a", 1).await?;
    let second = acquired(&three, "a");
    waiting(&one, "a", 2).await?;
    sleep(2 * TTL).await;
    assert_eq!(
        number(&server, PATIENT).await?,
        2,
        "one wait each, never begun anew"
    );
    guard.release().await?;
    let first = timeout(SOON, first).await???;
    assert!(!second.is_finished());
    first.release().await?;
    timeout(SOON, second).await???.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_heartbeat_is_no_loss() -> Result<()> {
    let server = server().await?;
    let locks = locks(&server.url()).await?;
    let guard = locks.lock("a").acquire().await?;
    let until = Instant::now() + 2 * TTL;
    while Instant::now() < until {
        hit(&server, "pg_cancel_backend", HOLDING).await?;
    }
    assert!(guard.is_held());
    guard.release().await?;
    Ok(())
}

/// Of a wait that somebody cancels just as it is granted, it is not known what came of it.
#[tokio::test]
async fn a_grant_that_is_cancelled_is_had_or_given_back() -> Result<()> {
    const CANCEL: &str = "select pg_cancel_backend(pid) from pg_stat_activity \
                          where application_name like 'distlock waiting%'";
    let server = server().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let mut hits = server.connect().await?;
    for round in 0..150 {
        let guard = one.lock("a").acquire().await?;
        let next = acquired(&two, "a");
        waiting(&one, "a", 1).await?;
        let late = Duration::from_micros(fastrand::u64(..1500));
        let hit = async {
            sleep(late).await;
            sqlx::raw_sql(CANCEL).execute(&mut hits).await
        };
        let (released, hit) = tokio::join!(guard.release(), hit);
        released?;
        hit?;
        let next = timeout(SOON, next).await.context("a grant that was lost");
        let next = next.with_context(|| format!("round {round}"))???;
        next.release().await?;
        let free = one.lock("a").try_acquire().await?;
        free.with_context(|| format!("left behind in round {round}"))?
            .release()
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_killed_loses_holds_and_no_waiter() -> Result<()> {
    let server = server().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&two, "a");
    waiting(&one, "a", 1).await?;
    server.kill().await?;
    assert_eq!(timeout(TTL / 4, guard.lost()).await?, Loss::Revoked);
    server.start().await?;
    let next = timeout(SOON, next).await???;
    assert!(next.token() > guard.token());
    next.release().await?;
    Ok(())
}

#[tokio::test]
async fn tokens_grow_although_the_server_forgets_numbers() -> Result<()> {
    let recipe = Postgres::new().setting("synchronous_commit = off");
    let server = Server::started(recipe.setting("wal_writer_delay = 10s")).await?;
    let mut greatest = None;
    for round in 0..3 {
        let locks = locks(&server.url()).await?;
        for _ in 0..40 {
            let guard = locks.lock("a").acquire().await?;
            assert!(Some(guard.token()) > greatest);
            greatest = Some(guard.token());
            guard.release().await?;
        }
        match round {
            0 => {
                server.kill().await?;
                server.start().await?;
            }
            _ => server.restart_empty().await?,
        }
    }
    Ok(())
}

/// As after a restore.
#[tokio::test]
async fn tokens_grow_although_the_sequence_was_set_back() -> Result<()> {
    let server = server().await?;
    let one = locks(&server.url()).await?;
    let guard = one.lock("a").acquire().await?;
    let token = guard.token();
    guard.release().await?;
    drop(one);
    becomes(&server, CLIENTS, 0).await?;
    server
        .sql("select setval('public.distlock_number', 1)")
        .await?;
    let other = locks(&server.url()).await?;
    let next = other.lock("a").acquire().await?;
    assert!(next.token() > token);
    Ok(())
}

/// Whoever knows the old primary loses what it holds, as soon as that has gone; the standby knows
/// nothing of it, but its tokens are greater.
#[tokio::test]
async fn tokens_grow_past_a_failover() -> Result<()> {
    let pair = PostgresPair::started(Postgres::new).await?;
    let old = locks(&pair.primary.url()).await?;
    let guard = old.lock("a").acquire().await?;
    pair.linked().await?;
    pair.primary.kill().await?;
    assert_eq!(timeout(TTL / 4, guard.lost()).await?, Loss::Revoked);
    pair.promote().await?;
    let new = locks(&pair.standby.url()).await?;
    let next = timeout(SOON, new.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    Ok(())
}

/// One number of 32 is written down, and a commit may have to wait for a standby to have it too. The
/// server would end no client meanwhile, and to cancel the wait would commit all the same.
#[tokio::test]
async fn a_standby_that_confirms_nothing_holds_up_nobody() -> Result<()> {
    const GRANTS: usize = 80;
    let pair = PostgresPair::started(Postgres::new).await?;
    let old = locks(&pair.primary.url()).await?;
    let held = old.lock("a").acquire().await?;
    pair.linked().await?;
    pair.standby.pause().await?;
    for statement in [
        "alter system set synchronous_standby_names = '*'",
        "select pg_reload_conf()",
    ] {
        pair.primary.sql(statement).await?;
    }
    let mut latest = held.token();
    for _ in 0..GRANTS {
        let guard = old.lock("b").acquire_within(TTL / 2).await?;
        assert!(guard.token() > latest);
        latest = guard.token();
        guard.release().await?;
    }
    held.ensure(TTL / 2).await?;
    held.release().await?;
    pair.primary.kill().await?;
    pair.standby.resume().await?;
    pair.promote().await?;
    let new = locks(&pair.standby.url()).await?;
    let next = timeout(SOON, new.lock("b").acquire()).await??;
    assert!(next.token() > latest);
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_past_the_ttl_ends_the_hold() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    server.pause().await?;
    assert_eq!(timeout(SOON, guard.lost()).await?, Loss::Expired);
    server.resume().await?;
    let next = timeout(SOON, other.lock("a").acquire()).await??;
    assert!(next.token() > guard.token());
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_stopped_for_a_moment_ends_nothing() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    server.pause().await?;
    sleep(TTL / 3).await;
    server.resume().await?;
    guard.ensure(TTL / 2).await?;
    guard.release().await?;
    timeout(SOON, next).await???.release().await?;
    Ok(())
}

/// A role that may make it has it made anew, greater than all before.
#[tokio::test]
async fn a_sequence_that_is_dropped_is_made_anew() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    server.sql("drop sequence public.distlock_number").await?;
    let beside = timeout(SOON, one.lock("b").acquire()).await??;
    assert!(beside.token() > guard.token());
    assert!(guard.is_held());
    server.sql("drop sequence public.distlock_number").await?;
    guard.release().await?;
    let next = timeout(SOON, next).await???;
    assert!(next.token() > beside.token());
    Ok(())
}

/// A lock and its number are had together, or neither is.
#[tokio::test]
async fn a_lock_without_a_number_is_given_back() -> Result<()> {
    let server = server().await?;
    server.sql("create role poor login").await?;
    let owner = locks(&server.url()).await?;
    let grant = "grant usage, select, update on sequence public.distlock_number to poor";
    server.sql(grant).await?;
    let poor = locks(&server.url().replace("postgres@", "poor@")).await?;
    poor.lock("a").acquire().await?.release().await?;
    let revoke = "revoke all on sequence public.distlock_number from poor";
    server.sql(revoke).await?;
    let error = poor.lock("a").acquire().await.expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("grant usage"), "{error}");
    timeout(SOON, poor.settle()).await?;
    let free = owner.lock("a").try_acquire().await?;
    free.context("left behind")?.release().await?;
    server.sql(grant).await?;
    let guard = timeout(SOON, poor.lock("a").acquire()).await??;
    guard.release().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_clients_that_have_gone() -> Result<()> {
    let server = server().await?;
    let (one, other) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let next = acquired(&other, "a");
    waiting(&one, "a", 1).await?;
    drop(guard);
    timeout(SOON, next).await???.release().await?;
    timeout(SOON, one.settle()).await?;
    assert_eq!(number(&server, NAMES).await?, 0);
    drop((one, other));
    becomes(&server, CLIENTS, 0).await?;
    Ok(())
}

#[tokio::test]
async fn restarts_in_the_midst_of_work_never_yield_two_holders() -> Result<()> {
    let server = server().await?;
    let (granted, is_over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let locks = locks(&server.url()).await?;
        let (granted, is_over) = (Arc::clone(&granted), Arc::clone(&is_over));
        working.spawn(async move {
            let mut holds = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let Ok(guard) = locks.lock("a").acquire_within(TTL / 2).await else {
                    continue;
                };
                let from = Instant::now();
                granted.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(3)).await;
                let now = Instant::now();
                let to = if guard.is_held() { now } else { from };
                holds.push((guard.token(), from, to));
            }
            holds
        });
    }
    for _ in 0..6 {
        let enough = granted.load(Ordering::Relaxed) + 20;
        let work = async {
            while granted.load(Ordering::Relaxed) < enough {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, work).await.context("too few are let in")?;
        server.kill().await?;
        server.start().await?;
    }
    is_over.store(true, Ordering::Relaxed);
    let mut holds: Vec<_> = timeout(SOON, working.join_all()).await?.concat();
    holds.sort_unstable();
    for pair in holds.windows(2) {
        let [(token, _, to), (next, from, _)] = pair else {
            continue;
        };
        assert!(token < next, "{token} twice");
        assert!(to <= from, "{token} and {next} at once");
    }
    Ok(())
}
