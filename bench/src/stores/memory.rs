//! The memory of the process: this library alone, also driven by a thread of its own.

use std::time::{Duration, Instant};

use anyhow::Result;
use distlock::Locks;
use distlock::memory::MemoryBackend;
use distlock_conformance::faults::{Faulty, Verb};
use distlock_load::async_trait;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Arena;
use crate::contestant::{Contestant, here};
use crate::distlock::{OnOwnThread, Place};
use crate::extras::{Extras, bytes_of_holds};
use crate::options::Effort;
use crate::plan::ONE_TASK;
use crate::ratio::{Bound, DISTLOCK, Ratios};

const BURST: &str = "busiest time of 10,000 renewals / average";

#[derive(Default)]
pub(crate) struct Memory(MemoryBackend);

#[async_trait]
impl Arena for Memory {
    fn place(&self) -> Place {
        Place::Memory(self.0.clone())
    }

    async fn others(&self) -> Result<Vec<Box<dyn Contestant>>> {
        let store = self.0.clone();
        let locks = Locks::builder()
            .build_on_own_thread(async || Ok(store))
            .await?;
        Ok(vec![here(
            "distlock on a thread of its own",
            OnOwnThread(locks),
        )])
    }

    fn bounds(&self, ratios: &Ratios<'_>, extras: &Extras) -> Vec<Bound> {
        let micros = ratios.rate((ONE_TASK, DISTLOCK)).map(|rate| 1e6 / rate);
        vec![
            Bound::at_most("memory, one task, in microseconds", micros, 20.0),
            Bound::at_most(
                "memory of one of 10,000 holds, in bytes",
                extras.number(&bytes_of_holds(10_000)),
                4096.0,
            ),
            // Spread over a quarter of the time between two it is 4; without that, 7 on two cores.
            Bound::at_most(BURST, extras.number(BURST), 6.0),
        ]
    }

    async fn more(&self, effort: Effort, extras: &mut Extras) -> Result<()> {
        match effort.quick {
            true => extras.leave_out(BURST, "takes longer than a quick run has"),
            false => extras.add(BURST, renewal_burst(10_000).await?),
        }
        Ok(())
    }
}

/// How many times as often as on the average so many holds, acquired at once, are renewed in the
/// busiest fiftieth of their first TTL.
async fn renewal_burst(count: usize) -> Result<f64> {
    const TTL: Duration = Duration::from_secs(4);
    let (backend, requests) = Faulty::new(MemoryBackend::new());
    let locks = Locks::builder().ttl(TTL).build(backend)?;
    let acquiring: JoinSet<_> = (0..count)
        .map(|number| locks.lock(format!("hold/{number}")).acquire())
        .collect();
    let guards = acquiring.join_all().await;
    let guards = guards.into_iter().collect::<distlock::Result<Vec<_>>>()?;
    let (began, mut busiest) = (Instant::now(), 0.0_f64);
    let (mut looked, mut renewals) = (began, requests.count(Verb::Renew));
    let before = renewals;
    while began.elapsed() < TTL {
        sleep(TTL / 50).await;
        let (now, by_now) = (Instant::now(), requests.count(Verb::Renew));
        busiest = busiest.max(rate(by_now - renewals, now - looked));
        (looked, renewals) = (now, by_now);
    }
    let average = rate(renewals - before, looked - began);
    drop(guards);
    locks.settle().await;
    Ok(busiest / average)
}

fn rate(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64()
}
