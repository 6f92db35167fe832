//! A process and all that it started: Postgres, for one, is a process for each connection.

use std::fs;
use std::str::FromStr;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends a signal to a process and to all that it started, and tells to which. A parent gets it
/// before its children are looked up: one that is stopped starts no more of them, and leaves their
/// ids to nobody else.
pub(crate) fn signal_all(parent: Pid, signal: Signal) -> Vec<Pid> {
    // It may have ended just now, which is as good.
    let _ = kill(parent, signal);
    let mut signalled = vec![parent];
    for child in children(parent) {
        signalled.extend(signal_all(child, signal));
    }
    signalled
}

/// Whether a process has ended, even if nobody has asked yet how.
pub(crate) fn has_ended(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    // The name of the program, in parentheses, may contain anything; the state follows it.
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    state.starts_with(['Z', 'X'])
}

fn children(parent: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    let children = threads
        .flatten()
        .flat_map(|thread| fs::read_to_string(thread.path().join("children")));
    let children: Vec<_> = children.collect();
    let pids = children.iter().flat_map(|line| line.split_whitespace());
    pids.flat_map(i32::from_str).map(Pid::from_raw).collect()
}
