//! A store of one's own: locks in a folder of files.
//!
//! ```sh
//! cargo run --example custom_store
//! ```
//!
//! Whatever can replace a record only if it is still the one that was read can keep locks: a
//! folder, a table, a bucket. Four methods of [`CasStore`] say how; what a lock means, waiting,
//! renewing, fencing and giving up are the library's. `main` then holds the store to every promise
//! that the library makes: it runs the conformance suite, second processes and their sudden deaths
//! included.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use distlock::backend::Backend;
use distlock::queue::{LockQueue, StoreTime};
use distlock::{
    Capabilities, CasBackend, CasStore, Deadline, Error, ErrorKind, Fair, Name, Result, Swap,
    Version,
};
use distlock_conformance::Harness;
use tempfile::TempDir;

fn main() -> ExitCode {
    distlock_conformance::run(TemporaryFolder::default())
}

/// Locks for the processes of one machine. Meant for a folder that a reboot empties, such as one in
/// `/run`: no lock outlives its machine's boot, so nothing has to be flushed to a disk.
///
/// A record is a file of two lines: a version that counts up, and the queue as JSON. It is never
/// changed but replaced, so a reader sees the old one or the new one; and never deleted, so no
/// version comes back.
#[derive(Debug)]
struct FolderStore(PathBuf);

static CAPABILITIES: LazyLock<Capabilities> = LazyLock::new(|| {
    let ttl = Duration::from_millis(100)..=Duration::from_hours(24);
    let mut capabilities = Capabilities::new("folder", ttl);
    (capabilities.shared, capabilities.permits, capabilities.fair) = (true, true, Fair::Yes);
    capabilities
});

impl FolderStore {
    /// The file of a name, which no other name has. Capitals are encoded too, since some file
    /// systems do not tell them apart. What is too long for a file's name is spread over
    /// folders.
    fn file(&self, name: &Name) -> PathBuf {
        const LONGEST: usize = 200;
        let text = format!("{}+{}", encoded(name.namespace()), encoded(name.as_str()));
        let mut rest = text.as_str();
        let mut path = self.0.clone();
        while rest.len() > LONGEST {
            let (part, after) = rest.split_at(LONGEST);
            // No file ends like this, so a folder is never where another name has its file.
            path.push(format!("{part}.more"));
            rest = after;
        }
        path.join(format!("{rest}.record"))
    }
}

#[async_trait]
impl CasStore for FolderStore {
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    async fn load(&self, name: &Name, by: Deadline) -> Result<Option<(LockQueue, Version)>> {
        let file = self.file(name);
        let record = by.bound(off_the_runtime(move || read(&file))).await?;
        record
            .map(|(version, json)| Ok((LockQueue::from_json(json)?, version)))
            .transpose()
    }

    async fn store(
        &self,
        name: &Name,
        queue: &LockQueue,
        expected: Option<&Version>,
        by: Deadline,
    ) -> Result<Swap> {
        let (file, json, expected) = (self.file(name), queue.to_json(), expected.cloned());
        let swap = move || swap(&file, &json, expected.as_ref(), by);
        by.bound(off_the_runtime(swap)).await
    }

    fn now(&self) -> Result<StoreTime> {
        StoreTime::since_boot()
    }
}

fn read(file: &Path) -> io::Result<Option<(Version, String)>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let (version, json) = text.split_once('\n').unwrap_or_default();
    Ok(Some((Version::new(version), json.to_owned())))
}

fn swap(file: &Path, json: &str, expected: Option<&Version>, by: Deadline) -> io::Result<Swap> {
    fs::create_dir_all(file.parent().unwrap_or(file))?;
    // The kernel unlocks it when it is closed, also if this process is killed.
    let only_here = File::create(file.with_extension("lock"))?;
    only_here.lock()?;
    let present = read(file)?.map(|(version, _)| version);
    if present.as_ref() != expected {
        return Ok(Swap::Stale);
    }
    // Whoever asked for it has been told by then that the outcome is unknown.
    if by.remaining().is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let swaps = present.map_or(Ok(0), |version| version.as_str().parse::<u64>());
    let version = Version::new((swaps.map_err(io::Error::other)? + 1).to_string());
    let new = file.with_extension("new");
    fs::write(&new, format!("{}\n{json}", version.as_str()))?;
    fs::rename(&new, file)?;
    Ok(Swap::Stored(version))
}

/// Files block, and the runtime has locks to renew meanwhile.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.into()))
        .map_err(|error| {
            // `Unavailable` is asked again; what will not pass by itself must not be.
            let kind = match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::Unauthorized
                }
                _ => ErrorKind::Unavailable,
            };
            Error::new(kind, "the folder of the locks cannot be used").with_source(error)
        })
}

fn encoded(text: &str) -> String {
    let encode = |byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}

// From here on, the test of the store.

/// Tells the suite how to reach a store: in a folder that is made when it is first asked for, and
/// removed at the end.
#[derive(Debug, Default)]
struct TemporaryFolder(OnceLock<TempDir>);

impl TemporaryFolder {
    fn path(&self) -> &Path {
        self.0
            .get_or_init(|| tempfile::tempdir().expect("a temporary folder can be made"))
            .path()
    }
}

#[async_trait]
impl Harness for TemporaryFolder {
    /// Pinned: what the store says of itself must be this, so that it does not pass by promising
    /// less.
    fn capabilities(&self) -> Capabilities {
        let mut pinned = Capabilities::new(
            "folder",
            Duration::from_millis(100)..=Duration::from_hours(24),
        );
        (pinned.shared, pinned.permits, pinned.fair) = (true, true, Fair::Yes);
        pinned
    }

    async fn backend(&self) -> Result<Box<dyn Backend>> {
        Ok(Box::new(CasBackend::new(FolderStore(self.path().into()))))
    }

    fn address(&self) -> Option<String> {
        self.path().to_str().map(str::to_owned)
    }

    async fn backend_at(&self, address: &str) -> Result<Box<dyn Backend>> {
        Ok(Box::new(CasBackend::new(FolderStore(address.into()))))
    }

    /// Longer than the default: each request is a handful of system calls, made where a runtime
    /// makes its blocking ones, and the suite runs many cases at a time.
    fn ttl(&self) -> Duration {
        Duration::from_secs(1)
    }
}
