use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::event::{Event, What};

/// Writes events to a file as they happen, each by one write of one line: what has been recorded
/// stays, however the process ends. Can be shared by threads.
#[derive(Debug)]
pub struct Recorder {
    file: File,
}

impl Recorder {
    /// To this file, which is made.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    pub fn create(file: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::options().append(true).create_new(true).open(file)?;
        Ok(Self { file })
    }

    /// Records that this happens now.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record(&self, what: What) -> io::Result<()> {
        self.record_at(now(), what)
    }

    /// Records that this happened then.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record_at(&self, at: Duration, what: What) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Event { at, what })?;
        line.push(b'\n');
        (&self.file).write_all(&line)
    }
}

/// The time by the clock that all processes of this machine share, and nobody can step.
///
/// # Panics
/// If the system has no such clock.
#[must_use]
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    now.expect("every Unix has a monotonic clock").into()
}
