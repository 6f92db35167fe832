//! Two who ask for a free name at the very same moment, from threads of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use distlock_core::backend::{Attempt, ClaimRequest, Patience};
use distlock_core::{Deadline, Mode, Name, Result, Ttl};

use crate::case::Case;
use crate::context::{Context, SOON};
use crate::failure::Outcome;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::of(one_of_two_who_race_for_a_free_name_has_it)]
}

const RACERS: usize = 2;

/// Names that the store has never heard of, and right afterwards once more, since what stands there
/// then may be made and compared in another way than what is made anew.
async fn one_of_two_who_race_for_a_free_name_has_it(cx: Context) -> Outcome {
    let gate = Arc::new(Gate::default());
    let mut names = Vec::new();
    for _ in 0..50 {
        let name = Name::in_namespace(cx.namespace(), cx.name())?;
        names.extend([name.clone(), name]);
    }
    let racing = [(); RACERS].map(|()| {
        let (gate, names) = (Arc::clone(&gate), names.clone());
        cx.elsewhere(async move |cx| race(&cx, Racer { gate, passed: 0 }, &names).await)
    });
    let [one, other] = racing;
    let (one, other) = tokio::join!(one, other);
    for (round, won) in one?.into_iter().zip(other?).enumerate() {
        assert!(
            won.0 != won.1,
            "round {round}: {} of two who asked at once",
            if won.0 { "both" } else { "none" }
        );
    }
    Ok(())
}

/// Asks for each of the names, and releases it once the others have been answered too. Which of
/// them were granted.
async fn race(cx: &Context, mut racer: Racer, names: &[Name]) -> Result<Vec<bool>> {
    let backend = cx.backend().await?;
    let ttl = Ttl::new(cx.calm(), cx.capabilities())?;
    let mut won = Vec::new();
    for name in names {
        let mut claim = backend.claim(ClaimRequest::new(name.clone(), Mode::Exclusive, ttl))?;
        racer.pass();
        let attempt = claim.attempt(&Patience::none(SOON)).await?;
        won.push(matches!(attempt, Attempt::Held(_)));
        racer.pass();
        claim.release(Deadline::within(SOON)).await?;
    }
    Ok(won)
}

/// Where racers wait for each other: how many have come by so far. Nobody sleeps there, since
/// whoever has to be woken comes too late.
#[derive(Default)]
struct Gate(AtomicUsize);

struct Racer {
    gate: Arc<Gate>,
    passed: usize,
}

impl Racer {
    fn pass(&mut self) {
        self.passed += 1;
        self.gate.0.fetch_add(1, Ordering::SeqCst);
        while self.gate.0.load(Ordering::SeqCst) < RACERS * self.passed {
            thread::yield_now();
        }
    }
}

impl Drop for Racer {
    /// Whoever leaves is not waited for.
    fn drop(&mut self) {
        self.gate.0.fetch_add(usize::MAX / 4, Ordering::SeqCst);
    }
}
