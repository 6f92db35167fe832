use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use crate::launch::Launch;
use crate::owner::Owner;
use crate::tree;
use crate::wait::PATIENCE;

/// A program that runs. Killed with this, and with this process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// A file that tells the janitor which process to kill.
    mark: PathBuf,
}

/// Puts the mark before there is anything to kill, then becomes the program: as the process stays
/// the same, there is no moment at which the program runs without a mark.
const STARTER: &str = r#"mark=$1/pid-$$; shift; : >"$mark" || exit 1; exec "$@""#;

impl Process {
    pub(crate) fn spawn(
        launch: &Launch,
        folder: &Path,
        owner: Option<Owner>,
        log: File,
    ) -> Result<Self> {
        let mut starter = Command::new("sh");
        starter
            .args(["-c", STARTER, "starter"])
            .arg(folder)
            .arg(&launch.program)
            .args(&launch.arguments)
            .current_dir(folder)
            // Ctrl-C in a terminal is for this process, which then ends what it started in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(Owner { user, group }) = owner {
            starter.uid(user).gid(group);
        }
        let child = starter.spawn()?;
        let mark = folder.join(format!("pid-{}", child.id()));
        Ok(Self { child, mark })
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// How it ended, once it has.
    pub(crate) fn status(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.unmark();
        }
        Ok(status)
    }

    /// Waits until it has ended by itself, and tells how.
    pub(crate) async fn end(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends a signal to it and to all that it started.
    pub(crate) fn signal_all(&self, signal: Signal) {
        tree::signal_all(self.pid(), signal);
    }

    /// Asks it to end by this signal, which it alone gets.
    pub(crate) fn ask_to_end(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).context("the process cannot be signalled")
    }

    /// Kills it and all that it started, and waits until they are gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.status()?.is_some() {
            return Ok(());
        }
        // Children are found by their parent, so nobody is killed before all are known.
        let family = tree::signal_all(self.pid(), Signal::SIGSTOP);
        for pid in &family {
            kill(*pid, Signal::SIGKILL)?;
        }
        self.child.wait()?;
        self.unmark();
        let began = Instant::now();
        while !family.iter().all(|pid| tree::has_ended(*pid)) {
            ensure!(
                began.elapsed() < PATIENCE,
                "{family:?} do not end although they were killed"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Nobody else may get the id before this is done; that takes the kernel long enough.
    fn unmark(&self) {
        let _ = fs::remove_file(&self.mark);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell; the janitor tries again.
        let _ = self.kill();
    }
}
