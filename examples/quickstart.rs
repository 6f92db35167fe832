//! Two processes, one lock, one crash.
//!
//! ```sh
//! cargo run --example quickstart --features sqlite
//! ```
//!
//! The program starts itself twice more, as `alice` and `bob`, who take turns at a lock in a
//! database file. Alice is killed while she holds it. Bob takes over once her TTL has run out, and
//! what she may still have sent is refused. The first process only watches, and succeeds only if it
//! has seen all of that.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use distlock::Locks;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const LOCK: &str = "orders/42";
/// Where the lock is kept. The TTL bounds how long a crash keeps others waiting.
const STORE: &str = "sqlite:locks.db?ttl=3s";
/// How long a worker needs the lock each time.
const WORK: Duration = Duration::from_millis(400);
/// How often the lock is granted before the crash.
const TURNS: usize = 6;
/// How long after it became possible a takeover may be seen: machines can be busy.
const TOLERANCE: Duration = Duration::from_millis(1500);

#[tokio::main]
async fn main() -> ExitCode {
    let result = match std::env::args().nth(1) {
        Some(name) => work(&name).await,
        None => watch().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What Alice and Bob do, over and over: lock, change what the lock protects, unlock.
async fn work(name: &str) -> Result<()> {
    let locks = distlock::connect(&format!("{STORE}&label={name}")).await?;
    let lock = locks.lock(LOCK);
    loop {
        let guard = lock.acquire().await?;
        let token = guard.token().get();
        ledger::write(token, name, "begins")?;
        println!("{token}");
        guard.while_held(sleep(WORK)).await?;
        ledger::write(token, name, "ends")?;
        guard.release().await?;
    }
}

/// What the first process does.
async fn watch() -> Result<()> {
    // All three processes find the database and the ledger in their working directory.
    let folder = tempfile::tempdir()?;
    std::env::set_current_dir(&folder)?;
    let locks = distlock::connect(STORE).await?;
    let story = Story(Instant::now());

    story.tell(&format!(
        "alice and bob, two processes, contend for `{LOCK}`"
    ));
    let mut alice = Worker::start("alice")?;
    let mut bob = Worker::start("bob")?;
    let token = until_alice_holds_it(&story, &mut alice, &mut bob).await?;

    let crash = kill_the_holder(&story, alice, token, &locks).await?;
    see_the_takeover(&story, &mut bob, &crash).await?;
    see_the_late_write_refused(&story, &crash)?;
    let token = bob.granted().await?;
    story.tell(&format!("bob goes on, with token {token}"));
    bob.process.kill().await?;

    let grants = ledger::check(crash.token)?;
    story.tell(&format!(
        "the ledger has {grants} grants, never two at once, with growing tokens"
    ));
    Ok(())
}

/// Lets the two take turns, and returns Alice's token at one that is hers.
async fn until_alice_holds_it(story: &Story, alice: &mut Worker, bob: &mut Worker) -> Result<u64> {
    let (mut alices, mut bobs) = (0, 0);
    loop {
        let (name, token) = tokio::select! {
            token = alice.granted() => ("alice", token?),
            token = bob.granted() => ("bob", token?),
        };
        story.tell(&format!("{name:5} holds it, token {token}"));
        match name {
            "alice" => alices += 1,
            _ => bobs += 1,
        }
        if name == "alice" && alices + bobs >= TURNS {
            expect(bobs > 0, "bob has had no turn yet")?;
            return Ok(token);
        }
    }
}

/// What is known of the hold of a process that is no more.
struct Crash {
    token: u64,
    /// The store cannot have forgotten the hold before this instant.
    not_before: Instant,
    /// It must have by this one.
    by: Instant,
}

async fn kill_the_holder(
    story: &Story,
    mut alice: Worker,
    token: u64,
    locks: &Locks,
) -> Result<Crash> {
    alice.process.kill().await?;
    let killed = Instant::now();
    let state = locks.inspect(LOCK).await?;
    let holder = state
        .holders
        .first()
        .filter(|holder| holder.token.is_some_and(|held| held.get() == token));
    let left = holder.and_then(|holder| holder.expires_in);
    let left = left.ok_or("alice let go before she could be killed; is this machine very busy?")?;
    story.tell(&format!(
        "alice is killed (SIGKILL) while she holds it; her TTL has {} to go",
        seconds(left)
    ));
    Ok(Crash {
        token,
        not_before: killed + left,
        by: Instant::now() + left,
    })
}

async fn see_the_takeover(story: &Story, bob: &mut Worker, crash: &Crash) -> Result<()> {
    const PROGRESS: Duration = Duration::from_millis(500);
    let token = loop {
        match timeout(PROGRESS, bob.granted()).await {
            // Nothing but the report of an earlier turn that had not been read.
            Ok(Ok(token)) if token < crash.token => {}
            Ok(token) => break token?,
            Err(_) => {
                expect(
                    Instant::now() < crash.by + TOLERANCE,
                    "bob has not taken over",
                )?;
                let left = crash.by.saturating_duration_since(Instant::now());
                story.tell(&format!("bob   waits; {} to go", seconds(left)));
            }
        }
    };
    let seen = Instant::now();
    expect(
        seen >= crash.not_before,
        "bob was granted the lock before alice's TTL had run out",
    )?;
    expect(
        seen <= crash.by + TOLERANCE,
        "bob was granted the lock long after alice's TTL had run out",
    )?;
    expect(
        token > crash.token,
        "bob's token is not greater than alice's",
    )?;
    let late = seen - crash.not_before;
    story.tell(&format!(
        "bob   takes over, {} after the TTL ran out, with token {token}",
        seconds(late)
    ));
    Ok(())
}

/// A request that a client sent before it died may arrive much later. No lock can call it back; the
/// ledger refuses it, because it has seen a greater token.
fn see_the_late_write_refused(story: &Story, crash: &Crash) -> Result<()> {
    match ledger::write(crash.token, "alice", "ends") {
        Ok(()) => Err("a write with the dead holder's token was not refused".into()),
        Err(refusal) => {
            story.tell(&format!(
                "a late write of alice's arrives at the ledger: {refusal}"
            ));
            Ok(())
        }
    }
}

fn expect(condition: bool, otherwise: &str) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(otherwise.into())
    }
}

/// Tells what happens, and when.
struct Story(Instant);

impl Story {
    fn tell(&self, what: &str) {
        println!("{:6.2} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// This program once more, as one of those who contend. Killed when dropped.
struct Worker {
    name: &'static str,
    process: Child,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(name: &'static str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(name)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("a worker without output")?;
        Ok(Self {
            name,
            process,
            reports: BufReader::new(stdout).lines(),
        })
    }

    /// The token of the next grant that the worker reports. Nothing is missed if this is dropped.
    async fn granted(&mut self) -> Result<u64> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let report = timeout(PATIENCE, self.reports.next_line()).await;
        let report = report.map_err(|_| {
            format!(
                "{} has not been granted the lock for {PATIENCE:?}",
                self.name
            )
        })??;
        Ok(report
            .ok_or_else(|| format!("{} has ended", self.name))?
            .parse()?)
    }
}

/// What the lock protects: a file that refuses writes whose token is smaller than one it has seen.
///
/// Databases do the same with `UPDATE … WHERE fence <= :token`.
mod ledger {
    use super::{File, Result, Write, expect, fs};

    const FILE: &str = "ledger.txt";

    pub(super) fn write(token: u64, who: &str, what: &str) -> Result<()> {
        let mut file = File::options().append(true).create(true).open(FILE)?;
        // Looking and writing are one step: a resource has to see to that by itself.
        file.lock()?;
        let greatest = entries()?
            .into_iter()
            .map(|(token, _)| token)
            .max()
            .unwrap_or(0);
        expect(
            token >= greatest,
            &format!("refused, since token {token} is smaller than {greatest}"),
        )?;
        Ok(writeln!(file, "{token} {what} {who}")?)
    }

    /// Checks that nobody began before the other had ended, except after the one that crashed, and
    /// that tokens grew with each grant. Returns how many there were.
    pub(super) fn check(crashed: u64) -> Result<usize> {
        let (mut grants, mut newest, mut at_work) = (0, 0, None);
        for (token, what) in entries()? {
            if what == "ends" {
                expect(
                    at_work.take() == Some(token),
                    &format!("token {token} ended, but was not at work"),
                )?;
                continue;
            }
            if let Some(other) = at_work.replace(token).filter(|other| *other != crashed) {
                return Err(format!("token {token} began while {other} was at work").into());
            }
            expect(
                token > newest,
                &format!("token {token} came after {newest}"),
            )?;
            newest = token;
            grants += 1;
        }
        Ok(grants)
    }

    fn entries() -> Result<Vec<(u64, String)>> {
        let mut entries = Vec::new();
        for line in fs::read_to_string(FILE)?.lines() {
            let mut words = line.split(' ');
            let token = words.next().unwrap_or_default().parse()?;
            entries.push((token, words.next().unwrap_or_default().to_owned()));
        }
        Ok(entries)
    }
}
