//! What came of it.

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

/// Checks the history in a folder, tells what it says, and draws it.
pub(crate) fn judge(folder: &Path) -> Result<ExitCode> {
    let terms = fs::read(folder.join("terms.json")).context("the terms of the history")?;
    let terms: Terms = serde_json::from_slice(&terms)?;
    let history = History::read(folder)?;
    let findings = check(&history, &terms)?;
    let picture = folder.join("history.html");
    fs::write(&picture, picture::draw(&history, &findings)?)?;
    println!("{}", findings.figures);
    tell(&history, &findings);
    println!("picture: {}", picture.display());
    Ok(verdict(&findings))
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
        println!("… and {} more", findings.violations.len() - SHOWN);
    }
}

fn verdict(findings: &Findings) -> ExitCode {
    let Figures {
        grants, handovers, ..
    } = findings.figures;
    if !findings.violations.is_empty() {
        println!("BROKEN: {} violations", findings.violations.len());
        return ExitCode::FAILURE;
    }
    if grants < GRANTS || handovers < HANDOVERS {
        println!("INCONCLUSIVE: too little happened");
        return ExitCode::from(2);
    }
    println!("every promise was kept");
    ExitCode::SUCCESS
}
