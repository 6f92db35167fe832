//! Many processes on one file, some of them killed. Each process is this test, started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use distlock_core::{FencingToken, Locks};
use distlock_sqlite::SqliteBackend;

/// Set in the processes started again: the folder to work in.
const FOLDER: &str = "DISTLOCK_TEST_FOLDER";
/// Set as well: how often each of its tasks increments a counter.
const ROUNDS: &str = "DISTLOCK_TEST_ROUNDS";

const TTL: Duration = Duration::from_secs(3);
const NAMES: usize = 4;
const TASKS: usize = 64;

/// P1, P2, P14: 64 tasks in each of 8 processes increment counters, by read, pause, write. Not one
/// increment is lost, and no token is out of order.
#[test]
fn counters_of_eight_processes_lose_nothing() {
    const PROCESSES: usize = 8;
    const EACH: usize = 4;
    if run_as_worker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let workers: Vec<_> = (0..PROCESSES)
        .map(|_| {
            start(
                "counters_of_eight_processes_lose_nothing",
                folder.path(),
                EACH,
            )
        })
        .collect();
    for mut worker in workers {
        assert!(
            worker.wait().unwrap().success(),
            "a worker found a promise broken"
        );
    }
    let total: u64 = (0..NAMES)
        .map(|name| Counter::at(folder.path(), name).read().0)
        .sum();
    assert_eq!(total as usize, PROCESSES * TASKS * EACH);
}

/// P3, P1: workers are killed over and over, wherever they happen to be. What they held is taken
/// over, the file stays sound, and tokens stay in order.
#[test]
fn killed_workers_are_taken_over() {
    if run_as_worker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let begin = || start("killed_workers_are_taken_over", folder.path(), 1_000_000);
    let mut survivor = begin();
    let progress = || {
        (0..NAMES)
            .map(|name| Counter::at(folder.path(), name).read().0)
            .sum::<u64>()
    };
    wait_until("the first increments", || progress() > 10);
    for _ in 0..6 {
        let mut victim = begin();
        let before = progress();
        wait_until("progress beside a victim", || progress() > before + 10);
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(
            survivor.try_wait().unwrap().is_none(),
            "the survivor found a promise broken"
        );
    }
    survivor.kill().unwrap();
    survivor.wait().unwrap();
    let killed = Instant::now();
    runtime().block_on(async {
        let locks = locks(folder.path()).await;
        for name in 0..NAMES {
            let guard = locks
                .lock(Counter::name(name))
                .acquire_within(20 * TTL)
                .await
                .unwrap();
            Counter::at(folder.path(), name)
                .increment(guard.token())
                .await;
            guard.release().await.unwrap();
        }
    });
    assert!(
        killed.elapsed() < 10 * TTL,
        "taken over after {:?}",
        killed.elapsed()
    );
}

/// The work of a process started again; `false` in the process that starts them.
fn run_as_worker() -> bool {
    let (Some(folder), Ok(rounds)) = (std::env::var_os(FOLDER), std::env::var(ROUNDS)) else {
        return false;
    };
    let (folder, rounds) = (PathBuf::from(folder), rounds.parse().unwrap());
    runtime().block_on(async {
        let locks = locks(&folder).await;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (locks, folder) = (locks.clone(), folder.clone());
            tasks.spawn(async move {
                for _ in 0..rounds {
                    let name = task % NAMES;
                    let guard = locks.lock(Counter::name(name)).acquire().await.unwrap();
                    Counter::at(&folder, name).increment(guard.token()).await;
                    guard.release().await.unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
    true
}

fn start(test: &str, folder: &Path, rounds: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .env(ROUNDS, rounds.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn locks(folder: &Path) -> Locks {
    let backend = SqliteBackend::open(folder.join("locks.db")).await.unwrap();
    Locks::builder().ttl(TTL).build(backend).unwrap()
}

/// A number and the token of its last writer, in a file, changed without any care.
struct Counter(PathBuf);

impl Counter {
    fn name(number: usize) -> String {
        format!("counter/{number}")
    }

    fn at(folder: &Path, number: usize) -> Self {
        Self(folder.join(format!("counter-{number}")))
    }

    fn read(&self) -> (u64, u64) {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let mut numbers = text
            .split_whitespace()
            .map(|number| number.parse().unwrap());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    async fn increment(&self, token: FencingToken) {
        let (count, last) = self.read();
        assert!(token.get() > last, "P2: token {token} after {last}");
        tokio::task::yield_now().await;
        // Replaced whole, so that a kill leaves the one or the other.
        let new = self.0.with_extension(token.to_string());
        fs::write(&new, format!("{} {token}", count + 1)).unwrap();
        assert_eq!(
            self.read(),
            (count, last),
            "P1: somebody else has written meanwhile"
        );
        fs::rename(new, &self.0).unwrap();
    }
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(
            began.elapsed() < 30 * TTL,
            "{what}: not within {:?}",
            began.elapsed()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}
