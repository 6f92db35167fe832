use super::Passage;

const HOLD: &str = "core/src/engine/hold.rs";
const KEEP: &str = "core/src/engine/keep.rs";
const GUARD: &str = "core/src/guard.rs";

pub(super) fn passages() -> Vec<Passage> {
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
        .killed_by(
            "loss::a_failed_renewal_is_not_a_loss",
            "the renewal after the one that failed",
        ),
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
            "self.end(self.loss_at(self.engine.now()).unwrap_or(Loss::Revoked));",
            "drop(self);",
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
            "expected the end of the hold",
        ),
        Passage::new(
            230,
            "needs a runtime where a guard is dropped",
            "core/src/engine.rs",
            "sync::spawn(&self.runtime, task);",
            "tokio::spawn(task);",
        )
        .killed_by(
            "release::dropped_on_a_thread_without_a_runtime",
            "non-unwinding panic",
        ),
        Passage::new(
            231,
            "blocks where a guard is dropped, until it is released",
            GUARD,
            "        self.hold.end(Loss::Released);
    }
}",
            "        let Some(mut released) = self.hold.give_back() else {
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
        )
        .killed_by(
            "cancellation::an_aborted_task_gives_back_its_lock",
            "nobody holds the name",
        ),
        Passage::new(
            246,
            "gives a wrong reason for the end of a hold",
            HOLD,
            ".finish(Loss::Released)",
            ".finish(Loss::Expired)",
        )
        .killed_by("loss::release_is_told_as_such", "Expired"),
        Passage::new(
            252,
            "renews a hold that `max_hold` ends before",
            HOLD,
            "if self.limit.is_some_and(|limit| limit <= valid_until) {",
            "if false {",
        )
        .killed_by(
            "renewal::a_max_hold_within_the_ttl_means_no_renewal",
            "renewals",
        ),
        Passage::new(
            254,
            "counts a hold for valid a moment longer than it says",
            HOLD,
            "} else if status.valid_until <= now {",
            "} else if status.valid_until + Duration::from_millis(50) <= now {",
        )
        .killed_by(
            "validity::validity_ends_on_time_while_renewals_fail",
            "after the end of its validity",
        ),
        Passage::new(
            257,
            "is given another TTL by a renewal that is answered after the end, if nobody has noticed",
            HOLD,
            "held = status.loss.is_none() && self.ended_by_clock(status, now).is_none();",
            "held = status.loss.is_none();",
        )
        .killed_by(
            "loss::an_answer_that_comes_after_the_end_brings_nothing_back",
            "a lost guard came back",
        ),
        Passage::new(
            258,
            "lets who waits go on waiting when its runtime has gone",
            KEEP,
            "        self.starts.end();\n",
            "",
        )
        .killed_by(
            "cancellation::waiting_as_the_runtime_goes_it_fails",
            "when its runtime has gone",
        ),
    ]
}
