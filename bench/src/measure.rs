//! Rounds in turn.

use std::time::Duration;

use distlock_load::{Outcome, Waits, Workload, share};
use serde::Serialize;

use crate::contestant::Contestant;
use crate::cpu;

/// What came of the rounds of one contestant under one workload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    rates: Vec<f64>,
    acquisitions: Vec<f64>,
    /// How often in all, of each task.
    granted: Vec<usize>,
    waits: Waits,
    /// Of the server.
    cpu: Option<Duration>,
    /// Why there is no more.
    fault: Option<String>,
}

/// Has all contestants go through all workloads, again and again, in turns: for each workload, a
/// tally for each contestant.
pub(crate) async fn rounds(
    contestants: &[&dyn Contestant],
    workloads: &[Workload],
    server: Option<u32>,
    (count, length): (usize, Duration),
) -> Vec<Vec<Tally>> {
    let mut tallies = vec![vec![Tally::default(); contestants.len()]; workloads.len()];
    for _ in 0..count {
        for (workload, tallies) in workloads.iter().zip(&mut tallies) {
            for (contestant, tally) in contestants.iter().zip(tallies) {
                tally.round(*contestant, *workload, length, server).await;
            }
        }
    }
    tallies
}

impl Tally {
    async fn round(
        &mut self,
        contestant: &dyn Contestant,
        workload: Workload,
        length: Duration,
        server: Option<u32>,
    ) {
        if self.fault.is_some() {
            return;
        }
        let before = server.and_then(cpu::used);
        match contestant.round(workload, length).await {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                let used = before.zip(server.and_then(cpu::used));
                self.add(
                    &outcome,
                    used.map(|(before, after)| after.saturating_sub(before)),
                );
            }
            Err(fault) => {
                eprintln!("{} failed: {fault:#}", contestant.name());
                self.fault = Some(format!("{fault:#}"));
            }
        }
    }

    fn add(&mut self, outcome: &Outcome, server: Option<Duration>) {
        self.rates.push(outcome.rate);
        self.acquisitions.push(outcome.acquisitions);
        self.granted.resize(outcome.granted.len(), 0);
        for (all, of_round) in self.granted.iter_mut().zip(&outcome.granted) {
            *all += of_round;
        }
        self.waits.add_all(&outcome.waits);
        self.cpu = server.map(|used| used + self.cpu.unwrap_or_default());
    }

    /// Unless it was left out.
    pub(crate) fn figures(&self) -> Option<Figures> {
        let per_second = Spread::of(&self.rates)?;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Some(Figures {
            per_second,
            acquired_per_second: Spread::of(&self.acquisitions)?,
            wait: Wait {
                p50: micros(self.waits.quantile(0.5)),
                p99: micros(self.waits.quantile(0.99)),
                max: micros(self.waits.longest()),
            },
            share: share(&self.granted),
            // Those of the end of a round count here, too: the server has worked for them.
            server_cpu: self
                .cpu
                .map(|used| micros(used) / self.waits.count().max(1) as f64),
        })
    }

    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

/// What a table says of a tally.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    /// Changes of owner, if all want one name that has one holder; else acquisitions.
    #[serde(rename = "per second")]
    pub(crate) per_second: Spread,
    #[serde(rename = "acquired per second")]
    pub(crate) acquired_per_second: Spread,
    #[serde(rename = "wait in microseconds")]
    pub(crate) wait: Wait,
    /// Of the task that got the least, over that of the one that got the most.
    #[serde(rename = "least share / greatest")]
    pub(crate) share: f64,
    #[serde(rename = "microseconds of the server's processors for each acquired")]
    pub(crate) server_cpu: Option<f64>,
}

/// Of several rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(figures: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(figures)?,
            least: figures.iter().copied().reduce(f64::min)?,
            most: figures.iter().copied().reduce(f64::max)?,
        })
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Wait {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
