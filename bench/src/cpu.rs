//! What processes use, by `/proc` (Linux).

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The time on processors that a process and its children have used, and those that it has waited
/// for.
pub(crate) fn used(pid: u32) -> Option<Duration> {
    /// The kernel counts in these towards programs, whatever its own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let of: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{of}/stat")).ok()?;
        // After the name, which may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<i64> = fields
            .split_whitespace()
            .skip(1)
            .map_while(|field| field.parse().ok())
            .collect();
        let [parent, ..] = fields[..] else {
            return None;
        };
        (of == pid || parent == i64::from(pid)).then(|| {
            let own: i64 = fields.get(10..12).map_or(0, |times| times.iter().sum());
            let waited = fields.get(12..14).map_or(0, |times| times.iter().sum());
            own + if of == pid { waited } else { 0 }
        })
    });
    let ticks: i64 = processes.sum();
    Some(TICK * u32::try_from(ticks).ok()?)
}

/// The memory of this process that is in use, in bytes.
pub(crate) fn resident() -> Result<usize> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1);
    let pages: usize = pages.context("/proc/self/statm is cut short")?.parse()?;
    Ok(pages * 4096)
}
