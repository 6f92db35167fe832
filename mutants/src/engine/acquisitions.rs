use super::{Over, Passage};

const LINE: &str = "core/src/engine/line.rs";
const LIVE: &str = "core/src/engine/live.rs";
const WAIT: &str = "core/src/engine/wait.rs";
const CALLER: &str = "core/src/engine/caller.rs";

pub(super) fn passages() -> Vec<Passage> {
    vec![
        Passage::new(
            215,
            "does not hear the store's wake-ups",
            WAIT,
            "() = claim.signals.looked() => {}",
            "() = std::future::pending() => {}",
        )
        .killed_by(
            "waiting::a_release_wakes_the_next_at_once",
            "the released lock",
        ),
        Passage::new(
            216,
            "looks again only when it is told to",
            WAIT,
            "() = sleep(pause) => is_refresh = true,
                }
                continue;",
            "() = { let _ = pause; std::future::pending() } => {}
                }
                continue;",
        )
        .killed_by(
            "waiting::a_wake_up_that_is_lost_costs_a_recheck",
            "the lock, without a wake-up",
        ),
        Passage::new(
            217,
            "serves the last of the local waiters first",
            LINE,
            "line.push_back(Queued {",
            "line.push_front(Queued {",
        )
        .killed_by(
            "waiting::neighbours_are_served_in_the_order_of_their_coming",
            "in the order of their coming",
        ),
        Passage::new(
            218,
            "gives up waiting at the first error",
            WAIT,
            "if left.is_zero() {",
            "if true {",
        )
        .killed_by(
            "waiting::a_waiter_outlasts_an_outage_of_the_store",
            "some attempts that fail",
        ),
        Passage::new(
            219,
            "asks a store that is down for ever",
            WAIT,
            "if left.is_zero() {",
            "if false {",
        )
        .killed_by(
            "fail_closed::a_store_that_is_down_is_unavailable_within_a_ttl",
            "expected an answer",
        )
        .killed_by(
            "limits::a_try_does_not_outlast_a_store_that_is_down",
            "expected an answer",
        ),
        Passage::new(
            220,
            "answers a try whose store fails as if the lock were held",
            WAIT,
            "let pause = trouble.judge(error, asked)?;",
            "let Ok(pause) = trouble.judge(error, asked) else { return Ok(None) };",
        )
        .killed_by(
            "fail_closed::every_error_ends_a_try_without_a_guard",
            "it succeeded",
        ),
        Passage::new(
            221,
            "does not wait for its own releases in a try",
            WAIT,
            "() = engine.pending.name_settled(&spec.name) => {}",
            "() = std::future::ready(()) => {}",
        )
        .killed_by(
            "limits::a_try_after_a_drop_succeeds",
            "a lock this task has just dropped",
        ),
        Passage::new(
            222,
            "knows no time limit",
            CALLER,
            "Kind::Wait(Some(limit)) => Instant::now().checked_add(limit).map(|at| (at, limit)),",
            "Kind::Wait(Some(_)) => None,",
        )
        .killed_by("limits::a_time_limit_is_kept", "expected an answer"),
        Passage::new(
            223,
            "leaves the place in line of one who has gone",
            WAIT,
            "drop(turn.pass(Some(claim)));",
            "if let Some(claim) = turn.pass(Some(claim)) {
                claim.left_nothing();
            }",
        )
        .killed_by("cancellation::at_any_poll", "something is left")
        .killed_by(
            "cancellation::at_any_poll_while_answers_are_late",
            "something is left",
        ),
        Passage::new(
            225,
            "withdraws nothing after an error",
            LIVE,
            "let result = contained(self.claim()?.attempt(patience)).await;
        self.heard = Some(Moment::now());",
            "let result = contained(self.claim()?.attempt(patience)).await;
        self.heard = result.is_ok().then(Moment::now);",
        )
        .killed_by(
            "fail_closed::every_error_ends_a_wait_and_leaves_nothing",
            "and no waiters",
        ),
        Passage::new(
            226,
            "lets a panic of the store through",
            LIVE,
            "catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {",
            "Ok::<_, Box<dyn std::any::Any + Send>>(call()).map_err(|panic| {",
        )
        .killed_by(
            "fail_closed::a_backend_that_panics_costs_its_claim_only",
            "expected an error of kind Unexpected",
        ),
        Passage::new(
            227,
            "gives up a release at the first error",
            LIVE,
            "Err(error) if self.has_ended(heard) => return Err(error),",
            "Err(error) if failures == 0 || self.has_ended(heard) => return Err(error),",
        )
        .killed_by(
            "release::asked_for_until_it_is_done",
            "the request was lost",
        ),
        Passage::new(
            228,
            "asks for a release for ever",
            LIVE,
            "heard.elapsed() > self.spec.ttl.get() + capabilities.slack",
            "{ let _ = (heard, capabilities.slack); false }",
        )
        .killed_by(
            "release::never_confirmed_it_ends_with_the_claim",
            "the end of what was dropped",
        ),
        Passage::new(
            229,
            "settles nothing",
            "core/src/engine/pending.rs",
            "self.until_past(|table| &table.open).await;",
            "let _ = |table: &Table| table.open.len();",
        )
        .killed_by(
            "release::settle_waits_for_what_was_dropped",
            "something is left after `settle`",
        ),
        Passage::new(
            232,
            "gives any claim that stands to the next in the local line",
            LIVE,
            "spec.mode == Mode::Exclusive
            && (self.spec.mode",
            "(self.spec.mode",
        )
        .killed_by(
            "fencing::a_place_that_passes_on_brings_no_older_token",
            "tokens in the order of their grants",
        ),
        Passage::new(
            233,
            "gives up a place in line that a neighbour could have",
            LINE,
            "turn.inherited = standing.take();",
            "drop(standing.take());",
        )
        .killed_by(
            "cancellation::a_neighbour_inherits_the_place",
            "the lock for the neighbour",
        ),
        Passage::new(
            234,
            "gives a hold the limits of the one whose place it has",
            LIVE,
            "self.spec = Arc::clone(spec);
        self.left",
            "let _ = spec;
        self.left",
        )
        .killed_by(
            "cancellation::a_neighbour_inherits_no_more_than_the_place",
            "ended by the limit of another",
        ),
        Passage::new(
            236,
            "tells those who wait one after the other that the store is down",
            WAIT,
            "turn.store_is_silent(since, &error);",
            "let _ = since;",
        )
        .killed_by(
            "fail_closed::a_store_that_is_down_is_told_to_all_who_wait",
            "an answer for each who waits",
        ),
        Passage::new(
            238,
            "counts a release whose answer was lost as a loss",
            LIVE,
            "Ok(_) if failures > 0 => return Ok(Released::Held),",
            "",
        )
        .killed_by(
            "unknown::releases_whose_answers_are_lost",
            "not held any more",
        ),
        Passage::new(
            240,
            "asks as soon as a future is made",
            CALLER,
            "        Self {
            engine: Arc::clone(engine),
            spec: spec.map(Arc::new),
            kind,
            state: State::Idle,
        }
    }",
            "        let mut made = Self {
            engine: Arc::clone(engine),
            spec: spec.map(Arc::new),
            kind,
            state: State::Idle,
        };
        if let Ok(spec) = made.spec.clone() {
            let (answer, left) = made.begin(&spec);
            made.state = State::Asked { answer, left };
        }
        made
    }",
        )
        .killed_by(
            "cancellation::a_future_that_was_never_polled_asks_nothing",
            "requests for futures never polled",
        ),
        Passage::new(
            242,
            "fails when it is woken for nothing",
            WAIT,
            "() = claim.signals.looked() => {}",
            "() = claim.signals.looked() => {
                        let again = claim.attempt(&Patience::none(request_time(ttl))).await;
                        if matches!(again, Ok(Attempt::Blocked(_))) {
                            let error = Error::new(ErrorKind::Lost, \"woken for nothing\");
                            return Stood::Failed { error, silent_since: None };
                        }
                    }",
        )
        .killed_by(
            "waiting::wake_ups_that_mean_nothing_do_no_harm",
            "many looks",
        ),
        Passage::new(
            247,
            "asks again whatever the error",
            WAIT,
            "if error.kind() != ErrorKind::Unavailable {",
            "if false {",
        )
        .killed_by(
            "fail_closed::every_error_ends_an_acquisition_without_a_guard",
            "it succeeded",
        ),
        Passage::new(
            253,
            "forgets to pass the turn on in the local line",
            WAIT,
            "turn.pass(None);",
            "#[expect(clippy::disallowed_methods)]
            std::mem::forget(turn);",
        )
        .killed_by(
            "waiting::everybody_in_the_line_is_served",
            "the lock for everybody",
        ),
        Passage::new(
            245,
            "panics when its runtime has gone",
            CALLER,
            ".unwrap_or_else(|_| Err(Engine::gone()))",
            ".expect(\"the runtime is there\")",
        )
        .killed_by(
            "release::asked_for_after_its_runtime_has_gone",
            "the runtime is there",
        ),
        Passage::new(
            255,
            "forgets a wake-up that comes while it asks",
            WAIT,
            "let pause = until_next_look(blocked, asked, ttl);",
            "let _ = tokio::time::timeout(Duration::ZERO, claim.signals.looked()).await;
                let pause = until_next_look(blocked, asked, ttl);",
        )
        .killed_by(
            "waiting::a_wake_up_that_overtakes_an_answer_is_heard",
            "the lock of which a waiter was told",
        ),
        Passage::new(
            256,
            "waits on the server for a caller who has gone",
            WAIT,
            "            end.end();
            attempt.await",
            "            let result = attempt.await;
            drop(end);
            result",
        )
        .over(Over::Blocking)
        .killed_by("limits::a_time_limit_is_kept", "expected 0 waiters")
        .killed_by(
            "cancellation::a_waiter_that_gives_up_in_the_middle_holds_up_nobody",
            "expected 4 waiters",
        ),
    ]
}
