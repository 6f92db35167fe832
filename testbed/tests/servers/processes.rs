//! What is running, as the kernel says.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use distlock_testbed::{Recipe, Server};
use tokio::time::{sleep, timeout};

/// The state of each process that was started in a folder, by its id.
pub(crate) fn in_folder(folder: &Path) -> HashMap<u32, char> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let inside = pids.filter(|pid| {
        let current = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        let current = current.to_string_lossy();
        // One that was removed is told in this way.
        let current = current.strip_suffix(" (deleted)").unwrap_or(&current);
        Path::new(current).starts_with(folder)
    });
    inside.filter_map(|pid| Some((pid, state(pid)?))).collect()
}

/// The processes of a server.
pub(crate) fn of<R: Recipe>(server: &Server<R>) -> Result<HashMap<u32, char>> {
    Ok(in_folder(server.folder()?))
}

/// Waits until something comes true that is about to.
pub(crate) async fn soon(what: &str, mut is_true: impl FnMut() -> bool) {
    let come_true = async {
        while !is_true() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let outcome = timeout(Duration::from_secs(30), come_true).await;
    assert!(outcome.is_ok(), "{what}");
}

/// `None` once it has ended.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit(')').next()?.trim_start().chars().next()?;
    (state != 'Z').then_some(state)
}
