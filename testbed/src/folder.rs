use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::launch::Launch;
use crate::owner::Owner;
use crate::process::Process;
use crate::scratch;
use crate::wait::in_time;

/// Where a server keeps its files. Removed with this, or when this process ends.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Who owns the files and runs the programs, if it is not the user of this process.
    owner: Option<Owner>,
}

impl Folder {
    pub(crate) fn new(name: &str, owner: Option<Owner>) -> Result<Self> {
        let path = scratch::new_folder(name)?;
        let folder = Self { path, owner };
        folder.hand_over(folder.path())?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that nobody but the owner may read.
    pub(crate) fn write(&self, name: &str, contents: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let context = || path.display().to_string();
        fs::write(&path, contents).with_context(context)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).with_context(context)?;
        self.hand_over(&path)?;
        Ok(path)
    }

    /// A folder in this one, empty.
    pub(crate) fn empty(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        self.remove(name)?;
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        self.hand_over(&path)?;
        Ok(path)
    }

    /// Removes a folder in this one, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| path.display().to_string())
            }
            _ => Ok(()),
        }
    }

    /// Starts a program in this folder, as its owner. What it prints goes to the log.
    pub(crate) fn spawn(&self, launch: &Launch) -> Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .context("the log")?;
        Process::spawn(launch, &self.path, self.owner, log)
            .with_context(|| format!("cannot start {launch}"))
    }

    /// Runs a program to its end, which has to be a good one.
    pub(crate) async fn run(&self, launch: &Launch) -> Result<()> {
        let mut process = self.spawn(launch)?;
        let status = in_time(process.end())
            .await
            .with_context(|| launch.to_string())?;
        if !status.success() {
            bail!("{launch}: {status}; its log:\n{}", self.log());
        }
        Ok(())
    }

    /// The end of what was printed by all that ran here.
    pub(crate) fn log(&self) -> String {
        const LINES: usize = 40;
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    fn hand_over(&self, path: &Path) -> Result<()> {
        if let Some(Owner { user, group }) = self.owner {
            chown(path, Some(user), Some(group)).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now is removed when this process ends.
        let _ = fs::remove_dir_all(&self.path);
    }
}
