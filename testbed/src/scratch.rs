//! What this process leaves on the machine, and what takes it away again.

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow};

/// One folder a process, with a folder in it for each server. A janitor, which is a process too,
/// waits for this one to end, however it ends, SIGKILL included. It then kills what is still
/// running of all that was started, and removes the folder.
struct Scratch {
    folder: PathBuf,
    made: AtomicU32,
    /// Its standard input is a pipe that nobody writes to. When it closes, this process is gone.
    _janitor: Child,
}

static SCRATCH: LazyLock<Result<Scratch>> = LazyLock::new(Scratch::new);

/// A new folder, empty, for one server or for something that several share.
pub(crate) fn new_folder(name: &str) -> Result<PathBuf> {
    let scratch = SCRATCH.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    let number = scratch.made.fetch_add(1, Ordering::Relaxed);
    let folder = scratch.folder.join(format!("{name}-{number}"));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

impl Scratch {
    fn new() -> Result<Self> {
        let folder = env::temp_dir().join(format!("distlock-{:016x}", fastrand::u64(..)));
        // First: this process may be killed as soon as there is a folder to remove.
        let janitor = janitor(&folder).context("a shell that clears up")?;
        // Others may pass through it, but not look around: some servers run as another user.
        let made = DirBuilder::new().mode(0o711).create(&folder);
        made.with_context(|| folder.display().to_string())?;
        Ok(Self {
            folder,
            made: AtomicU32::new(0),
            _janitor: janitor,
        })
    }
}

/// In a group of its own, so that Ctrl-C in a terminal does not end it too.
fn janitor(folder: &Path) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", include_str!("scratch/janitor.sh"), "janitor"])
        .arg(folder)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
