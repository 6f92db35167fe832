//! A history as a page that needs nothing else.

use anyhow::Result;
use distlock_conformance::history::{Event, Findings, History, Verdict};
use serde_json::{Value, json};

/// Where the page takes its data from.
const DATA: &str = "/*data*/null";

/// The page.
pub(crate) fn draw(history: &History, findings: &Findings) -> Result<String> {
    let events: Result<Vec<_>> = history.events().iter().map(event).collect();
    let data = json!({
        "events": events?,
        "violations": verdicts(&findings.violations),
        "excused": verdicts(&findings.excused),
        "figures": findings.figures.to_string(),
    });
    // What stands in a script must not end it.
    let data = serde_json::to_string(&data)?.replace('<', "\\u003c");
    Ok(include_str!("picture/page.html").replacen(DATA, &data, 1))
}

/// As it was recorded, but for the token: the numbers of browsers have 53 bits.
fn event(event: &Event) -> Result<Value> {
    let mut event = serde_json::to_value(event)?;
    if let Some(token) = event.get_mut("token") {
        *token = Value::String(token.to_string());
    }
    Ok(event)
}

fn verdicts(verdicts: &[Verdict]) -> Vec<Value> {
    let verdict = |verdict: &Verdict| {
        json!({
            "promise": format!("{:?}", verdict.promise),
            "what": verdict.what,
            "at": u64::try_from(verdict.at.as_nanos()).unwrap_or(u64::MAX),
            "events": verdict.events,
        })
    };
    verdicts.iter().map(verdict).collect()
}
