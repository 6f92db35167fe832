//! The mutants of the engine: passages of its source, and what a mistaken hand would have written
//! there.

use crate::mutant::Killer;

/// A passage of the source that is replaced, and the cases that must fail then.
#[derive(Debug)]
pub struct Passage {
    /// Stays the same; numbers are not used again.
    pub number: u32,
    /// What the engine does wrong then.
    pub does: &'static str,
    /// The file, from the root of the repository.
    pub file: &'static str,
    /// What stands there, once in the file.
    pub text: &'static str,
    /// What is put in its place.
    pub instead: &'static str,
    /// The cases of the suite that fail, on the in-process store.
    pub killers: Vec<Killer>,
}

impl Passage {
    fn new(
        number: u32,
        does: &'static str,
        file: &'static str,
        text: &'static str,
        instead: &'static str,
    ) -> Self {
        Self {
            number,
            does,
            file,
            text,
            instead,
            killers: Vec::new(),
        }
    }

    fn killed_by(mut self, case: &'static str, says: &'static str) -> Self {
        self.killers.push(Killer { case, says });
        self
    }
}

/// All of them, by number.
pub fn passages() -> Vec<Passage> {
    vec![
        Passage::new(
            201,
            "dates a grant from its answer",
            HOLD,
            "let valid_until = granted.as_of.far_add(validity);",
            "let valid_until = Moment::now().far_add(validity);",
        )
        .killed_by(
            "validity::a_grant_is_dated_from_before_it_was_asked_for",
            "after an answer that took",
        ),
        Passage::new(
            202,
            "dates a renewal from its answer",
            HOLD,
            "Ok(Renewal::Extended(as_of)) if self.extend(as_of) => {",
            "Ok(Renewal::Extended(as_of)) if self.extend(Moment::now()) => {",
        )
        .killed_by(
            "validity::a_renewal_is_dated_from_before_it_was_asked_for",
            "after a renewal that took",
        ),
        Passage::new(
            203,
            "judges a hold by a flag that a timer sets",
            HOLD,
            "status.loss.or_else(|| self.ended_by_clock(&status, now))",
            "{ let _ = now; status.loss }",
        )
        .killed_by(
            "validity::a_blocked_runtime_sees_the_loss_at_its_first_look",
            "a guard is held after its TTL was slept away",
        ),
        Passage::new(
            204,
            "leaves no margin for clocks that drift apart",
            "core/src/engine.rs",
            "ttl.saturating_sub(ttl.mul_f64(self.share))
            .saturating_sub(self.constant)",
            "ttl",
        )
        .killed_by(
            "validity::a_fresh_guard_is_valid_for_less_than_its_ttl",
            "of a TTL of",
        ),
        Passage::new(
            205,
            "hands out a guard whose validity is over",
            HOLD,
            "        if valid_until <= now {
            let error",
            "        if false {
            let error",
        )
        .killed_by(
            "validity::a_grant_that_comes_too_late_is_no_guard",
            "a guard that is over when it is handed out",
        ),
        Passage::new(
            206,
            "never tells that a validity has ended",
            KEEP,
            "due.ended.iter().for_each(Hold::end_by_clock);",
            "drop(due.ended);",
        )
        .killed_by("loss::told_on_time_when_renewals_fail", "expected the loss")
        .killed_by(
            "loss::told_on_time_when_the_answers_of_renewals_are_lost",
            "expected the loss",
        ),
        Passage::new(
            207,
            "tells a loss three seconds late",
            KEEP,
            "due.ended.iter().for_each(Hold::end_by_clock);",
            "for hold in due.ended {
            let engine = Arc::clone(&hold.engine);
engine.spawn(async move {
tokio::time::sleep(Duration::from_secs(3)).await;
hold.end_by_clock();
            });
        }",
        )
        .killed_by("loss::told_on_time_when_renewals_hang", "expected the loss"),
        Passage::new(
            208,
            "takes a renewal that fails for a loss",
            HOLD,
            "self.engine.keeper.schedule(&self, Some(again));",
            "let _ = again;
                self.end(Loss::Expired);",
        )
        .killed_by("loss::a_failed_renewal_is_not_a_loss", "lost"),
        Passage::new(
            209,
            "stops renewing after the first error",
            HOLD,
            "self.engine.keeper.schedule(&self, Some(again));",
            "let _ = again;",
        )
        .killed_by(
            "unknown::renewals_whose_requests_are_lost",
            "the renewal after the one that went wrong",
        ),
        Passage::new(
            210,
            "does not listen when the store says that a hold is gone",
            HOLD,
            "self.end(Loss::Revoked);
    }
}",
            "drop(self);
    }
}",
        )
        .killed_by(
            "loss::a_revocation_that_is_pushed_is_told_at_once",
            "held, though the store has said that it is gone",
        )
        .killed_by(
            "loss::a_revocation_that_is_pushed_while_a_renewal_hangs_is_told_at_once",
            "held, though the store has said that it is gone",
        ),
        Passage::new(
            211,
            "revives a hold that has ended by its clock",
            HOLD,
            "held = status.loss.is_none() && self.ended_by_clock(status, now).is_none();",
            "held = true;",
        )
        .killed_by(
            "loss::an_answer_that_comes_after_the_end_brings_nothing_back",
            "a lost guard came back",
        ),
        Passage::new(
            212,
            "renews a hold thirty times in a TTL",
            HOLD,
            "(self.ttl / 3).mul_f64(spread)",
            "(self.ttl / 30).mul_f64(spread)",
        )
        .killed_by(
            "renewal::renewals_come_as_often_as_they_should",
            "six renewals in",
        ),
        Passage::new(
            213,
            "renews a hold when two thirds of its TTL are over",
            HOLD,
            "(self.ttl / 3).mul_f64(spread)",
            "(self.ttl * 2 / 3).mul_f64(spread)",
        )
        .killed_by(
            "renewal::renewals_come_as_often_as_they_should",
            "six renewals, a third of the TTL apart",
        ),
        Passage::new(
            214,
            "knows no end by `max_hold`",
            HOLD,
            "if self.limit.is_some_and(|limit| limit <= now) {",
            "if false {",
        )
        .killed_by(
            "renewal::max_hold_ends_the_hold_and_frees_the_name",
            "MaxHold",
        ),
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
            "() = sleep(pause) => {}
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
            "if self.since.get_or_insert_with(Moment::now).elapsed() >= self.too_long {",
            "self.since.get_or_insert_with(Moment::now);
        if true {",
        )
        .killed_by(
            "waiting::a_waiter_outlasts_an_outage_of_the_store",
            "unavailable",
        ),
        Passage::new(
            219,
            "asks a store that is down for ever",
            WAIT,
            "if self.since.get_or_insert_with(Moment::now).elapsed() >= self.too_long {",
            "self.since.get_or_insert_with(Moment::now);
        if false {",
        )
        .killed_by(
            "fail_closed::a_store_that_is_down_is_unavailable_within_a_ttl",
            "expected an answer",
        ),
        Passage::new(
            220,
            "answers a try whose store fails as if the lock were held",
            WAIT,
            "let pause = trouble.judge(error)?;",
            "let Ok(pause) = trouble.judge(error) else { return Ok(None) };",
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
        .killed_by(
            "cancellation::dropped_at_any_poll_on_a_held_lock",
            "and no waiters",
        )
        .killed_by(
            "cancellation::dropped_at_any_poll_of_a_slow_store",
            "nobody holds the name",
        ),
        Passage::new(
            224,
            "keeps a lock that was granted as its caller went",
            CALLER,
            "drop(answer.send(result));",
            "#[expect(clippy::disallowed_methods)]
            std::mem::forget(answer.send(result));",
        )
        .killed_by(
            "cancellation::dropped_at_any_poll_on_a_free_lock",
            "nobody holds the name",
        )
        .killed_by(
            "cancellation::an_aborted_task_gives_back_its_lock",
            "nobody holds the name",
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
            "",
        ),
        Passage::new(
            227,
            "gives up a release at the first error",
            LIVE,
            "Err(error) if self.has_ended(heard) => return Err(error),",
            "Err(error) if failures == 0 || self.has_ended(heard) => return Err(error),",
        )
        .killed_by("release::asked_for_until_it_is_done", ""),
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
            230,
            "needs a runtime where a guard is dropped",
            "core/src/engine.rs",
            "self.runtime.spawn(task);",
            "tokio::spawn(task);",
        )
        .killed_by(
            "release::dropped_on_a_thread_without_a_runtime",
            "no reactor running",
        ),
        Passage::new(
            231,
            "blocks where a guard is dropped, until it is released",
            GUARD,
            "        self.hold.end(Loss::Released);
    }
}",
            "        let Some(mut released) = self.hold.finish(Loss::Released) else {
            return;
        };
while let Err(oneshot::error::TryRecvError::Empty) = released.try_recv() {
std::thread::sleep(Duration::from_millis(1));
        }
    }
}",
        )
        .killed_by(
            "release::dropped_without_waiting_for_the_store",
            "a drop took",
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
        .killed_by("cancellation::a_neighbour_inherits_the_place", ""),
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
            "an answer for all who wait",
        ),
        Passage::new(
            237,
            "is blind to what the clock says about a validity in `while_held`",
            GUARD,
            "if let Poll::Ready(loss) = Pin::new(&mut lost).poll(context) {",
            "if let Poll::Ready(loss) = Poll::<Loss>::Pending {
                let _ = (&mut lost, &context);",
        )
        .killed_by(
            "loss::work_under_the_lock_ends_with_the_lock",
            "the end of the work",
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
            239,
            "gives a request as long as it takes the TTL to pass",
            "core/src/engine.rs",
            "(ttl / 6).min(MAX_REQUEST)",
            "{ let _ = MAX_REQUEST; ttl }",
        )
        .killed_by(
            "release::not_held_up_by_a_renewal_that_hangs",
            "expected the release",
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
        .killed_by("waiting::wake_ups_that_mean_nothing_do_no_harm", ""),
        Passage::new(
            243,
            "releases nothing when a panic unwinds",
            GUARD,
            "fn drop(&mut self) {
        self.hold.end(Loss::Released);",
            "fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.hold.end(Loss::Released);",
        )
        .killed_by("release::dropped_while_unwinding", "nobody holds the name")
        .killed_by(
            "release::a_run_releases_when_its_work_panics",
            "nobody holds the name",
        ),
        Passage::new(
            244,
            "releases nothing when a guard is dropped",
            GUARD,
            "fn drop(&mut self) {
        self.hold.end(Loss::Released);",
            "fn drop(&mut self) {
        let _ = Loss::Released;",
        )
        .killed_by(
            "release::a_dropped_guard_releases",
            "a lock whose guard was dropped",
        )
        .killed_by(
            "release::a_run_releases_when_it_is_dropped",
            "nobody holds the name",
        ),
        Passage::new(
            245,
            "panics when its runtime has gone",
            GUARD,
            "Err(_) => Err(Engine::gone()),",
            "Err(_) => panic!(\"the runtime has gone\"),",
        )
        .killed_by(
            "release::asked_for_after_its_runtime_has_gone",
            "the runtime has gone",
        ),
        Passage::new(
            246,
            "gives a wrong reason for the end of a hold",
            GUARD,
            ".finish(Loss::Released)",
            ".finish(Loss::Expired)",
        )
        .killed_by("loss::release_is_told_as_such", "Expired"),
        Passage::new(
            247,
            "asks again whatever the error",
            WAIT,
            "if error.kind() != ErrorKind::Unavailable {",
            "if false {",
        )
        .killed_by(
            "fail_closed::every_error_ends_an_acquisition_without_a_guard",
            "",
        ),
        Passage::new(
            248,
            "takes any text for a name",
            "core/src/name.rs",
            "let fault = if text.is_empty() {",
            "if true {
        let _ = max_bytes;
        return Ok(());
    }
    let fault = if text.is_empty() {",
        )
        .killed_by("input::bad_names", "")
        .killed_by("input::bad_namespaces", "")
        .killed_by("input::bad_labels", ""),
        Passage::new(
            249,
            "takes any TTL",
            "core/src/ttl.rs",
            "if range.contains(&ttl) {",
            "if true {",
        )
        .killed_by("input::ttls_out_of_range", "")
        .killed_by("input::a_default_ttl_out_of_range", ""),
        Passage::new(
            250,
            "takes a semaphore of nothing",
            KINDS,
            "if self.mode == (Mode::Permit { limit: 0 }) {",
            "if false {",
        )
        .killed_by("input::no_permits", ""),
        Passage::new(
            251,
            "takes a hold of no length",
            KINDS,
            "if self.max_hold == Some(Duration::ZERO) {",
            "if false {",
        )
        .killed_by("input::no_time_to_hold", ""),
        Passage::new(
            252,
            "renews a hold that `max_hold` ends before",
            HOLD,
            "if self.limit.is_some_and(|limit| limit <= valid_until) {",
            "if false {",
        )
        .killed_by("renewal::a_max_hold_within_the_ttl_means_no_renewal", ""),
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
    ]
}

const HOLD: &str = "core/src/engine/hold.rs";
const KEEP: &str = "core/src/engine/keep.rs";
const LINE: &str = "core/src/engine/line.rs";
const LIVE: &str = "core/src/engine/live.rs";
const WAIT: &str = "core/src/engine/wait.rs";

const CALLER: &str = "core/src/engine/caller.rs";
const GUARD: &str = "core/src/guard.rs";
const KINDS: &str = "core/src/locks/kinds.rs";
