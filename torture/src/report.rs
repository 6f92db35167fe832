//! What came of it.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use distlock_conformance::history::{Figures, Findings, History, Terms, check};

use crate::picture;

/// So much has to happen for a history to say anything.
const GRANTS: usize = 100;
const HANDOVERS: usize = 20;
/// How many verdicts are printed.
const SHOWN: usize = 20;

/// What a history comes to.
pub(crate) struct Judgement {
    pub(crate) findings: Findings,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Kept,
    Broken,
    Inconclusive,
}

/// Checks the history in a folder, tells what it says, and draws it.
pub(crate) fn judge(folder: &Path) -> Result<ExitCode> {
    let history = History::read(folder)?;
    let Judgement { findings, outcome } = judged(&history, folder)?;
    let picture = folder.join("history.html");
    fs::write(&picture, picture::draw(&history, &findings)?)?;
    println!("{}", findings.figures);
    tell(&history, &findings);
    println!("picture: {}", picture.display());
    println!("{outcome}");
    Ok(outcome.code().into())
}

/// Checks the history in a folder.
pub(crate) fn judgement(folder: &Path) -> Result<Judgement> {
    judged(&History::read(folder)?, folder)
}

fn judged(history: &History, folder: &Path) -> Result<Judgement> {
    let terms = fs::read(folder.join("terms.json")).context("the terms of the history")?;
    let terms: Terms = serde_json::from_slice(&terms)?;
    let findings = check(history, &terms)?;
    let outcome = Outcome::of(&findings);
    Ok(Judgement { findings, outcome })
}

fn tell(history: &History, findings: &Findings) {
    let began = history
        .events()
        .first()
        .map_or(Duration::ZERO, |event| event.at);
    if let Some(first) = findings.excused.first() {
        println!(
            "{} times the store had forgotten or was two, as it may be; the first at {:.3?}: {first}",
            findings.excused.len(),
            first.at - began
        );
    }
    for violation in findings.violations.iter().take(SHOWN) {
        println!("{:.3?}  {violation}", violation.at - began);
        for event in &violation.events {
            let event = &history.events()[*event];
            println!("    {:.6?}  {:?}", event.at - began, event.what);
        }
    }
    if findings.violations.len() > SHOWN {
        println!("… of {} violations", findings.violations.len());
    }
}

impl Outcome {
    fn of(findings: &Findings) -> Self {
        let Figures {
            grants, handovers, ..
        } = findings.figures;
        if !findings.violations.is_empty() {
            Self::Broken
        } else if grants < GRANTS || handovers < HANDOVERS {
            Self::Inconclusive
        } else {
            Self::Kept
        }
    }

    /// The exit status that tells it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::Broken => 1,
            Self::Inconclusive => 2,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "every promise was kept",
            Self::Broken => "BROKEN",
            Self::Inconclusive => "INCONCLUSIVE: too little happened",
        })
    }
}
