use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use distlock_core::{ErrorKind, Loss};

use crate::event::{Event, What};
use crate::history::History;
use crate::journey::Journey;
use crate::server::FOR_NOTHING;

/// How often what happened in one run or more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What went wrong, of messages and machines.
    pub faults: BTreeMap<&'static str, u64>,
    /// What users did, and were told.
    pub uses: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// What happened in this run.
    pub fn of(history: &History) -> Self {
        let mut tally = Self::default();
        for Event { what, .. } in history.events() {
            for fault in faults(what) {
                *tally.faults.entry(fault).or_default() += 1;
            }
            if let Some(usage) = usage(what) {
                *tally.uses.entry(usage).or_default() += 1;
            }
        }
        tally
    }

    /// How many acquisitions were granted.
    pub fn grants(&self) -> u64 {
        self.uses.get(RECEIVED).copied().unwrap_or(0)
    }
}

const RECEIVED: &str = "acquisitions granted";

fn faults(what: &What) -> Vec<&'static str> {
    match what {
        What::Sent { journey, .. } => {
            let kinds = ["requests lost", "requests doubled", "requests delayed"];
            of_journey(journey, kinds)
        }
        What::Replied { journey, .. } => of_journey(
            journey,
            ["replies lost", "replies doubled", "replies delayed"],
        ),
        What::Hinted { hint, journey, .. } => {
            let kinds = ["hints lost", "hints doubled", "hints delayed"];
            let mut faults = of_journey(journey, kinds);
            if hint.ends_with(FOR_NOTHING) {
                faults.push("hints for nothing");
            }
            faults
        }
        What::Ignored { .. } => vec!["requests out of order"],
        What::ServerPaused { .. } => vec!["pauses of the store"],
        What::ClientPaused { .. } => vec!["pauses of a client"],
        What::CutOff { .. } => vec!["clients cut off"],
        What::Crashed { .. } => vec!["crashes"],
        What::Forgot { .. } => vec!["names forgotten"],
        What::Restarted => vec!["TTLs begun anew"],
        _ => Vec::new(),
    }
}

fn of_journey(journey: &Journey, [lost, doubled, delayed]: [&'static str; 3]) -> Vec<&'static str> {
    match journey {
        Journey::Arrives(after) => {
            let is_doubled = (after.len() > 1).then_some(doubled);
            let is_delayed = (!journey.is_prompt()).then_some(delayed);
            is_doubled.into_iter().chain(is_delayed).collect()
        }
        Journey::Lost => vec![lost],
        Journey::Refused(_) => vec![lost, "senders told of a loss"],
    }
}

fn usage(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Received { .. } => RECEIVED,
        What::Busy { .. } => "tries refused",
        What::Abandoned { .. } => "acquisitions dropped",
        What::Failed {
            kind: ErrorKind::TimedOut,
            ..
        } => "acquisitions timed out",
        What::Failed {
            kind: ErrorKind::Conflict,
            ..
        } => "acquisitions in conflict",
        What::Failed { .. } => "acquisitions failed",
        What::Ensured { .. } => "validity ensured",
        What::UseFailed { .. } => "uses failed",
        What::LossTold { loss, .. } => match loss {
            Loss::Expired => "holds expired",
            Loss::Revoked => "holds revoked",
            Loss::MaxHold => "holds ended by their limit",
            _ => return None,
        },
        What::Released { result: Ok(()), .. } => "releases confirmed",
        What::Released { .. } => "releases failed",
        What::Seen { .. } => "states seen",
        What::Settling { .. } => "waits for releases",
        _ => return None,
    })
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let add = |to: &mut BTreeMap<_, u64>, from: BTreeMap<_, u64>| {
            for (what, times) in from {
                *to.entry(what).or_default() += times;
            }
        };
        add(&mut self.faults, other.faults);
        add(&mut self.uses, other.uses);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.uses.iter().chain(&self.faults);
        all.try_for_each(|(what, times)| writeln!(f, "{times:>10} {what}"))
    }
}
