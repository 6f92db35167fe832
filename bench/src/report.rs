//! What was measured, as data.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Map;

use crate::contestant::Contestant;
use crate::extras::Extras;
use crate::measure::{Figures, Tally};
use crate::plan::Curve;
use crate::ratio::{Bound, DISTLOCK};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// How many all of this shared: servers, clients and this program.
    pub(crate) processors: usize,
    /// Only to see that it works: the figures say little.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    #[serde(rename = "milliseconds of a round")]
    pub(crate) round_millis: u128,
    /// Why they are missing, if they are.
    #[serde(rename = "no peers in a process of their own")]
    pub(crate) no_peers: Option<String>,
    pub(crate) stores: Vec<StoreReport>,
    /// Stores of which nothing can be told, and why.
    pub(crate) failed: BTreeMap<&'static str, String>,
}

/// Of one store.
#[derive(Debug, Serialize)]
pub(crate) struct StoreReport {
    pub(crate) store: &'static str,
    #[serde(rename = "seconds it took")]
    pub(crate) seconds: u64,
    pub(crate) table: Vec<Line>,
    pub(crate) curves: Vec<CurveReport>,
    pub(crate) ratios: Map<String, serde_json::Value>,
    #[serde(flatten)]
    pub(crate) extras: Extras,
    pub(crate) bounds: Vec<Bound>,
}

/// Of one contestant under one workload.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) workload: &'static str,
    pub(crate) who: String,
    /// Unless it was left out: it has no such lock, or cannot do so many.
    pub(crate) figures: Option<Figures>,
    /// Why there is no more.
    pub(crate) fault: Option<String>,
}

/// How a rate depends on how much there is of something.
#[derive(Debug, Serialize)]
pub(crate) struct CurveReport {
    pub(crate) of: &'static str,
    pub(crate) counts: &'static str,
    /// By contestant.
    pub(crate) lines: BTreeMap<String, Vec<Point>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) count: usize,
    pub(crate) figures: Option<Figures>,
    pub(crate) fault: Option<String>,
}

impl Line {
    pub(crate) fn new(workload: &'static str, who: &str, tally: &Tally) -> Self {
        Self {
            workload,
            who: who.to_owned(),
            figures: tally.figures(),
            fault: tally.fault().map(str::to_owned),
        }
    }
}

impl CurveReport {
    /// Of tallies for each count and each contestant.
    pub(crate) fn new(
        curve: Curve,
        contestants: &[&dyn Contestant],
        counts: &[usize],
        tallies: &[Vec<Tally>],
    ) -> Self {
        let line = |(at, contestant): (usize, &&dyn Contestant)| {
            let points = counts.iter().zip(tallies).map(|(count, tallies)| Point {
                count: *count,
                figures: tallies[at].figures(),
                fault: tallies[at].fault().map(str::to_owned),
            });
            (contestant.name().to_owned(), points.collect::<Vec<_>>())
        };
        let lines = contestants.iter().enumerate().map(line);
        // Of those that have such a curve at all.
        let lines = lines.filter(|(_, points)| points.iter().any(|point| point.figures.is_some()));
        Self {
            of: curve.of,
            counts: curve.counts,
            lines: lines.collect(),
        }
    }
}

impl Report {
    /// Whether distlock did all that it was asked, and kept its bounds.
    pub(crate) fn is_well(&self) -> bool {
        self.failed.is_empty() && self.stores.iter().all(StoreReport::is_well)
    }
}

impl StoreReport {
    fn is_well(&self) -> bool {
        let ours = |who: &str| who.starts_with(DISTLOCK);
        let lines = self
            .table
            .iter()
            .all(|line| !ours(&line.who) || line.fault.is_none());
        let curves = self.curves.iter().flat_map(|curve| &curve.lines);
        let mut points = curves
            .filter(|(who, _)| ours(who))
            .flat_map(|(_, points)| points);
        let bounds = self.bounds.iter().all(|bound| bound.kept);
        lines && points.all(|point| point.fault.is_none()) && bounds
    }
}
