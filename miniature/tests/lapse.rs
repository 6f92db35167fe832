//! What becomes of claims, and of what the server shows of them, when their session is in trouble.

mod wire;

use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Patience, Released, Renewal};
use distlock_core::{Deadline, ErrorKind, Guard, Locks, Loss, Mode, Moment, Name, Ttl};
use distlock_miniature::{Direct, Server, SessionBackend};
use tokio::time::sleep;

use wire::{Asked, Tested, Trouble};

const TTL: Duration = Duration::from_millis(9_600);

fn client(server: &Direct) -> (Locks, Tested) {
    let wire = Tested::new(server);
    let locks = Locks::builder().ttl(TTL);
    (
        locks.build(SessionBackend::new(wire.clone())).unwrap(),
        wire,
    )
}

async fn is_free(server: &Direct, name: &str) -> bool {
    let (locks, _) = client(server);
    locks.inspect(name).await.unwrap().is_free()
}

fn claim(backend: &impl Backend, name: &str) -> Box<dyn Claim> {
    let ttl = Ttl::new(TTL, backend.capabilities()).unwrap();
    let name = Name::new(name).unwrap();
    let request = ClaimRequest::new(name, Mode::Exclusive, ttl);
    backend.claim(request).unwrap()
}

fn soon() -> Deadline {
    Deadline::within(TTL / 6)
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_confirmed_is_given_up_with_all_its_claims() {
    let server = Direct::new();
    let (locks, wire) = client(&server);
    let guards = [
        locks.lock("a").acquire().await.unwrap(),
        locks.lock("b").acquire().await.unwrap(),
    ];
    wire.set(Trouble::LosesReplies);
    for guard in &guards {
        assert_eq!(guard.lost().await, Loss::Expired);
    }
    // The server has heard every heartbeat: kept alive once more, the session would live on.
    sleep(TTL / 50).await;
    let beats = wire.asked(Asked::Beat);
    wire.set(Trouble::None);
    locks.settle().await;
    assert!(is_free(&server, "a").await && is_free(&server, "b").await);

    let guard = locks.lock("a").acquire().await.unwrap();
    assert_eq!(wire.asked(Asked::Open), 2, "a session of its own");
    assert_eq!(wire.asked(Asked::Beat), beats);
    guard.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_is_answered_too_late_revives_nothing() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    sleep(TTL / 2).await;
    // Sent in time, heard by the server in time, and answered when it is over here, but before the
    // TTL has passed since then.
    wire.set(Trouble::DelaysReplies(TTL * 3 / 4));
    let late = first.renew(Deadline::within(2 * TTL)).await.unwrap();
    assert!(matches!(late, Renewal::Lost));
    wire.set(Trouble::None);
    let beats = wire.asked(Asked::Beat);
    assert_eq!(first.release(soon()).await.unwrap(), Released::NotHeld);
    assert!(is_free(&server, "a").await, "ended with its session");
    assert_eq!(
        wire.asked(Asked::Beat),
        beats,
        "kept alive after it was given up"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_for_is_removed_though_its_neighbours_are_well() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut neighbour = claim(&backend, "neighbour");
    neighbour.attempt(&Patience::none(TTL)).await.unwrap();
    let mut forgotten = claim(&backend, "forgotten");
    forgotten.attempt(&Patience::none(TTL)).await.unwrap();
    drop(forgotten);

    sleep(TTL / 3).await;
    neighbour.renew(soon()).await.unwrap();
    assert!(is_free(&server, "forgotten").await);
    assert!(!is_free(&server, "neighbour").await);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_after_the_release_leaves_nothing_for_long() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut neighbour = claim(&backend, "neighbour");
    neighbour.attempt(&Patience::none(TTL)).await.unwrap();

    let mut late = claim(&backend, "late");
    wire.set(Trouble::DelaysRequests(TTL / 4));
    let error = late.attempt(&Patience::none(TTL / 6)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    wire.set(Trouble::None);
    assert_eq!(late.release(soon()).await.unwrap(), Released::NotHeld);
    sleep(TTL / 4).await;
    assert!(!is_free(&server, "late").await, "the request has come");

    neighbour.renew(soon()).await.unwrap();
    assert!(is_free(&server, "late").await);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_server_shows_no_more_is_told_to_be_gone() {
    let server = Direct::new();
    let (locks, wire) = client(&server);
    let guards = [
        locks.lock("a").acquire().await.unwrap(),
        locks.lock("b").acquire().await.unwrap(),
    ];
    wire.forget_first_entry().await;
    sleep(TTL / 2).await;
    let (kept, lost): (Vec<_>, Vec<_>) = guards.iter().partition(|guard| guard.is_held());
    assert_eq!((kept.len(), lost.len()), (1, 1));
    assert_eq!(lost[0].lost().await, Loss::Revoked);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_comes_while_a_heartbeat_is_being_answered_is_not_missed() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = Arc::new(SessionBackend::new(wire.clone()));
    let locks = Locks::builder().ttl(TTL);
    let locks = locks.build(Arc::clone(&backend)).unwrap();
    let mut first = claim(&backend, "a");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    sleep(TTL / 5).await;
    wire.set(Trouble::DelaysReplies(TTL / 10));
    let renewed = tokio::spawn(async move { first.renew(soon()).await });
    tokio::task::yield_now().await;
    wire.set(Trouble::None);
    let guard = locks.lock("b").acquire().await.unwrap();
    assert!(!renewed.is_finished());
    renewed.await.unwrap().unwrap();
    sleep(TTL / 100).await;
    assert!(guard.is_held(), "the answer is from before its entry");
}

#[tokio::test(start_paused = true)]
async fn a_place_in_line_that_was_lost_does_not_cost_the_hold_that_comes_next() {
    async fn try_with<B: Backend>(backend: impl Fn(Tested) -> B) {
        let server = Direct::new();
        let (holding, _) = client(&server);
        let wire = Tested::new(&server);
        let builder = Locks::builder().ttl(TTL);
        let waiting = builder.build(backend(wire.clone())).unwrap();
        let other = waiting.lock("another").acquire().await.unwrap();
        other.release().await.unwrap();
        let guard = holding.lock("a").acquire().await.unwrap();
        wire.set(Trouble::DelaysReplies(TTL / 50));
        let lock = waiting.lock("a");
        let waits = tokio::spawn(async move { lock.acquire().await.unwrap() });
        sleep(TTL / 100).await;
        // Nobody tells the one that waits on the server.
        wire.set(Trouble::DelaysReplies(TTL));
        sleep(TTL / 50).await;
        wire.set(Trouble::None);
        wire.forget_first_entry().await;
        guard.release().await.unwrap();
        // Keeps the session alive, which shows that the place is gone.
        let other = waiting.lock("another").acquire().await.unwrap();
        sleep(TTL / 100).await;
        let guard = waits.await.unwrap();
        sleep(TTL / 50).await;
        assert!(guard.is_held() && other.is_held());
    }
    try_with(SessionBackend::new).await;
    try_with(SessionBackend::waiting_on_server).await;
}

#[tokio::test(start_paused = true)]
async fn one_heartbeat_serves_all_claims_and_a_failed_one_is_not_asked_by_all() {
    let server = Direct::new();
    let (locks, wire) = client(&server);
    let mut guards: Vec<Guard> = Vec::new();
    for number in 0..1_000 {
        guards.push(locks.lock(format!("{number}")).acquire().await.unwrap());
    }
    wire.set(Trouble::DelaysReplies(TTL / 20));
    sleep(10 * TTL).await;
    wire.set(Trouble::None);
    assert!(guards.iter().all(Guard::is_held));
    let beats = wire.asked(Asked::Beat);
    assert!((30..=50).contains(&beats), "{beats} heartbeats in ten TTLs");

    wire.set(Trouble::Refuses);
    sleep(TTL / 2).await;
    let failed = wire.asked(Asked::Beat) - beats;
    assert!(failed <= 30, "{failed} heartbeats in half a TTL");
    wire.set(Trouble::None);
    sleep(TTL / 4).await;
    assert!(guards.iter().all(Guard::is_held));
}

#[tokio::test(start_paused = true)]
async fn all_kinds_of_ttl_share_a_few_sessions() {
    let server = Direct::new();
    let (locks, wire) = client(&server);
    let mut guards = Vec::new();
    for number in 0..500 {
        let ttl = Duration::from_millis(600 + 1_190 * number);
        let lock = locks.lock(format!("{number}")).ttl(ttl);
        let guard = lock.acquire().await.unwrap();
        assert!(guard.valid_for() < ttl && guard.valid_for() > ttl.min(8 * TTL).mul_f64(0.4));
        guards.push(guard);
    }
    assert_eq!(wire.asked(Asked::Open), 8, "from 0.6 to 76.8 seconds");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_sessions_that_nobody_uses() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    backend.close(soon()).await;
    assert_eq!(wire.asked(Asked::End), 0, "a claim still stands");
    first.release(soon()).await.unwrap();
    backend.close(soon()).await;
    assert_eq!(wire.asked(Asked::End), 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_waits_for_the_end_of_a_session_that_was_given_up_or_for_its_ttl() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    wire.set(Trouble::Refuses);
    let error = first.release(soon()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Unavailable,
        "alive: it is to be asked again"
    );
    sleep(TTL - TTL / 10_000).await;
    let error = first.release(soon()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Unavailable,
        "given up: it may still live there"
    );
    sleep(Server::SLACK + TTL / 1_000).await;
    assert_eq!(first.release(soon()).await.unwrap(), Released::NotHeld);
}

#[tokio::test(start_paused = true)]
async fn a_session_may_live_for_a_ttl_after_a_heartbeat_whose_answer_was_lost() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    sleep(TTL / 2).await;
    wire.set(Trouble::LosesReplies);
    first.renew(soon()).await.unwrap_err();
    wire.set(Trouble::Refuses);
    sleep(TTL / 2 + Server::SLACK + TTL / 100).await;
    let error = first.release(soon()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Unavailable,
        "not confirmed for a TTL, and kept alive after that"
    );
    assert!(!is_free(&server, "a").await);
    sleep(TTL / 2).await;
    assert_eq!(first.release(soon()).await.unwrap(), Released::NotHeld);
    assert!(is_free(&server, "a").await);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_an_earlier_session_is_not_the_claim_s_own() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    wire.set(Trouble::Refuses);
    sleep(TTL / 2).await;
    server.restart_ttls();
    sleep(TTL / 2 + Server::SLACK + TTL / 100).await;
    let (patience, _end) = Patience::unlimited(TTL / 6);
    first.attempt(&patience).await.unwrap_err();
    wire.set(Trouble::None);
    let under_another = first.attempt(&patience).await.unwrap();
    assert!(
        matches!(under_another, Attempt::Blocked(_)),
        "behind the entry of its earlier session: {under_another:?}"
    );
    sleep(TTL / 2).await;
    let granted = first.attempt(&patience).await.unwrap();
    assert!(matches!(granted, Attempt::Held(_)), "{granted:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_told_to_all_its_claims_at_once() {
    let server = Direct::new();
    let (locks, wire) = client(&server);
    let mut guards = Vec::new();
    for number in 0..10 {
        guards.push(locks.lock(format!("{number}")).acquire().await.unwrap());
    }
    wire.end_first_session().await;
    let beats = wire.asked(Asked::Beat);
    let mut told = Vec::new();
    for guard in &guards {
        assert_eq!(guard.lost().await, Loss::Revoked);
        told.push(Moment::now());
    }
    assert_eq!(wire.asked(Asked::Beat), beats + 1);
    let (first, last) = (told[0], told[told.len() - 1]);
    assert!(last.since(first) < TTL / 1_000, "{:?}", last.since(first));
}

#[tokio::test(start_paused = true)]
async fn any_request_that_finds_its_session_ended_tells_all_its_claims() {
    let server = Direct::new();
    let (locks, wire) = client(&server);
    let guard = locks.lock("a").acquire().await.unwrap();
    wire.end_first_session().await;
    let _other = locks.lock("b").acquire().await.unwrap();
    assert_eq!(guard.lost().await, Loss::Revoked);
    assert_eq!(wire.asked(Asked::Beat), 0, "without a heartbeat");
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_session_has_ended_before_it_is_known_is_not_handed_out() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    let mut second = claim(&backend, "b");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    sleep(TTL / 5).await;
    wire.set(Trouble::DelaysReplies(TTL / 10));
    let granted = tokio::spawn(async move { second.attempt(&Patience::none(TTL)).await });
    sleep(TTL / 20).await;
    wire.set(Trouble::None);
    wire.end_first_session().await;
    let renewed = first.renew(soon()).await.unwrap();
    assert!(matches!(renewed, Renewal::Lost));
    let error = granted.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_dated_from_before_its_session_was_kept_alive() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    wire.set(Trouble::DelaysReplies(TTL / 10));
    let mut before = Moment::now();
    let Attempt::Held(hold) = first.attempt(&Patience::none(TTL)).await.unwrap() else {
        panic!("not granted");
    };
    assert_eq!(hold.as_of, before);
    for _ in 0..3 {
        sleep(TTL / 3).await;
        before = Moment::now();
        let renewed = first.renew(soon()).await.unwrap();
        assert!(matches!(renewed, Renewal::Extended(as_of) if as_of == before));
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_hangs_does_not_hold_up_the_others() {
    let server = Direct::new();
    let wire = Tested::new(&server);
    let backend = SessionBackend::new(wire.clone());
    let mut first = claim(&backend, "a");
    let mut second = claim(&backend, "b");
    first.attempt(&Patience::none(TTL)).await.unwrap();
    second.attempt(&Patience::none(TTL)).await.unwrap();
    sleep(TTL / 3).await;
    wire.set(Trouble::DelaysReplies(TTL));
    let hung = tokio::spawn(async move { first.renew(Deadline::within(TTL)).await });
    tokio::task::yield_now().await;
    wire.set(Trouble::None);
    let renewed = second.renew(soon()).await.unwrap();
    assert!(matches!(renewed, Renewal::Extended(_)));
    assert!(!hung.is_finished());
}
