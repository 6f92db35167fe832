//! A process that uses the testbed leaves nothing behind, however it ends.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

#[test]
fn nothing_is_left_when_it_is_killed() {
    let up = Up::new();
    // Also what is stopped: it could not end by itself.
    for pid in up.processes() {
        let _ = kill(pid, Signal::SIGSTOP);
    }
    up.leaves_nothing_after(Signal::SIGKILL);
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    Up::new().leaves_nothing_after(Signal::SIGINT);
}

#[test]
fn nothing_is_left_when_it_is_terminated() {
    Up::new().leaves_nothing_after(Signal::SIGTERM);
}

#[test]
fn nothing_is_left_when_it_is_killed_while_it_starts() {
    for delay in [0, 20, 100, 300, 700] {
        let up = Up::begin();
        let began = Instant::now();
        while up.files().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(30));
        }
        sleep(Duration::from_millis(delay));
        up.leaves_nothing_after(Signal::SIGKILL);
    }
}

/// A process with one server of each kind, and with a temporary folder of its own.
struct Up {
    process: Child,
    output: BufReader<ChildStdout>,
    temporary: TempDir,
}

impl Up {
    /// One whose servers answer.
    fn new() -> Self {
        let mut up = Self::begin();
        let lines: Vec<_> = up
            .output
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .take(6)
            .collect();
        assert!(
            lines[0].starts_with("DISTLOCK_TEST_REDIS_URL=redis://127.0.0.1:"),
            "{lines:?}"
        );
        assert!(lines[5].contains("Ctrl-C"), "{lines:?}");
        assert!(up.processes().len() > 5, "{:?}", up.processes());
        let memory = up.shared_memory();
        assert!(memory.is_some_and(|memory| segments().contains(&memory)));
        up
    }

    /// One whose servers may be about to start.
    fn begin() -> Self {
        // Not below a folder that only this user may enter: Postgres runs as another one.
        let temporary = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_distlock-testbed"))
            .arg("up")
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            output,
            temporary,
        }
    }

    /// All that run in its folder: the servers, and what these have started.
    fn processes(&self) -> BTreeSet<Pid> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pids = pids.map(Pid::from_raw);
        pids.filter(|pid| {
            let folder = fs::read_link(format!("/proc/{pid}/cwd"));
            folder.is_ok_and(|folder| folder.starts_with(self.temporary.path()))
        })
        .collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temporary.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The piece of shared memory that Postgres has, if it is up.
    fn shared_memory(&self) -> Option<String> {
        let servers = self.files().into_iter().flat_map(fs::read_dir).flatten();
        let running = servers
            .map(|server| server.unwrap().path().join("data/postmaster.pid"))
            .find_map(|path| fs::read_to_string(path).ok())?;
        let memory = running.lines().nth(6)?;
        Some(memory.split_whitespace().nth(1)?.to_owned())
    }

    fn leaves_nothing_after(mut self, signal: Signal) {
        let memory = self.shared_memory();
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
        self.process.wait().unwrap();
        let began = Instant::now();
        while !(self.processes().is_empty() && self.files().is_empty()) {
            let left = (self.processes(), self.files());
            assert!(began.elapsed() < Duration::from_secs(30), "{left:?}");
            sleep(Duration::from_millis(10));
        }
        assert!(memory.is_none_or(|memory| !segments().contains(&memory)));
    }
}

impl Drop for Up {
    /// Also when a test fails.
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The shared memory of this machine.
fn segments() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let rows = table.lines().skip(1);
    rows.filter_map(|row| Some(row.split_whitespace().nth(1)?.to_owned()))
        .collect()
}
