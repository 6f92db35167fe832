use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use distlock_conformance::history::{Effect, Recorder, What, now};

/// A thread that sleeps as briefly as this and wakes much later was not let run.
const TICK: Duration = Duration::from_millis(20);

/// Records from now on when the machine does not let this client run, by a thread that has nothing
/// else to do: then what is late is not the library's fault. A runtime that is blocked by what runs
/// in it is not seen, and no excuse.
pub(crate) fn watch_client(client: u32, recorder: Arc<Recorder>) {
    watch(Duration::from_millis(80), recorder, move || {
        (What::Paused { client }, What::Resumed { client })
    });
}

/// Records from now on when the machine lets nobody run for long, servers neither: as a fault, of
/// the store and of all that is between.
pub(crate) fn watch_machine(faults: Arc<AtomicU32>, recorder: Arc<Recorder>) {
    watch(Duration::from_millis(150), recorder, move || {
        let fault = faults.fetch_add(1, Ordering::Relaxed);
        let began = What::FaultBegan {
            fault,
            kind: "starve".to_owned(),
            target: "this machine".to_owned(),
            effect: Effect::Disturbs,
        };
        (began, What::FaultEnded { fault })
    });
}

fn watch(
    usual: Duration,
    recorder: Arc<Recorder>,
    stall: impl Fn() -> (What, What) + Send + 'static,
) {
    thread::spawn(move || {
        loop {
            let began = now();
            thread::sleep(TICK);
            let woke = now();
            if woke - began > TICK + usual {
                let (begins, ends) = stall();
                for (at, what) in [(began, begins), (woke, ends)] {
                    let recorded = recorder.record_at(at, what);
                    recorded.expect("the history can be written");
                }
            }
        }
    });
}
