//! A process of its own that holds locks, to be looked at or to be killed.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use distlock::memory::MemoryBackend;
use distlock::{Guard, Locks};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines, stdin};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

use crate::cpu;
use crate::distlock::Place;

/// How many are acquired at once.
const AT_ONCE: usize = 64;

/// What it is to hold.
#[derive(Debug, Args)]
pub(crate) struct Helper {
    /// Where; in the memory of the process if it is nowhere.
    #[arg(long)]
    url: Option<String>,
    /// How many names: `hold/0`, `hold/1`, …
    #[arg(long)]
    count: usize,
    #[arg(long, value_parser = humantime::parse_duration)]
    ttl: Duration,
}

impl Helper {
    /// Holds them, prints by how many bytes the process has grown for each, and, once its input has
    /// ended, how many are still held.
    pub(crate) async fn run(self) -> Result<()> {
        let place = match self.url {
            None => Place::Memory(MemoryBackend::new()),
            Some(url) => Place::Url(url),
        };
        let locks = Locks::builder().ttl(self.ttl).build(place.open().await?)?;
        // Whatever the first costs.
        locks.lock("first").acquire().await?.release().await?;
        let before = cpu::resident()?;
        let held = acquired(&locks, self.count).await?;
        println!("{}", cpu::resident()?.saturating_sub(before) / self.count);
        stdin().read_to_end(&mut Vec::new()).await?;
        println!("{}", held.iter().filter(|guard| guard.is_held()).count());
        drop(held);
        locks.settle().await;
        Ok(())
    }
}

async fn acquired(locks: &Locks, count: usize) -> Result<Vec<Guard>> {
    let mut held = Vec::with_capacity(count);
    let mut acquiring = JoinSet::new();
    for number in 0..count {
        acquiring.spawn(locks.lock(format!("hold/{number}")).acquire());
        if acquiring.len() == AT_ONCE {
            held.extend(acquiring.join_next().await.transpose()?.transpose()?);
        }
    }
    while let Some(guard) = acquiring.join_next().await {
        held.push(guard??);
    }
    Ok(held)
}

/// Such a process, as the one sees it that started it. Killed with this.
pub(crate) struct Holding {
    process: Child,
    prints: Lines<BufReader<ChildStdout>>,
    count: usize,
    /// By how many bytes it has grown for each.
    pub(crate) bytes_each: usize,
}

impl Holding {
    /// One that holds so many names at this place.
    pub(crate) async fn started(place: &Place, count: usize, ttl: Duration) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["hold", "--count", &count.to_string()]);
        command
            .arg("--ttl")
            .arg(humantime::format_duration(ttl).to_string());
        if let Place::Url(url) = place {
            command.args(["--url", url]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let prints = process.stdout.take().context("it has no output")?;
        let mut prints = BufReader::new(prints).lines();
        let bytes_each = number(&mut prints).await?;
        Ok(Self {
            process,
            prints,
            count,
            bytes_each,
        })
    }

    /// The time on processors that it has used.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        cpu::used(self.process.id()?)
    }

    /// Ends it in order, once it is clear that it has held all.
    pub(crate) async fn ended(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let held = number(&mut self.prints).await?;
        ensure!(
            held == self.count,
            "{held} of {} are still held",
            self.count
        );
        ensure!(self.process.wait().await?.success(), "it did not end well");
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn killed(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}

async fn number(prints: &mut Lines<BufReader<ChildStdout>>) -> Result<usize> {
    let line = prints.next_line().await?;
    Ok(line.context("the process that holds has ended")?.parse()?)
}
