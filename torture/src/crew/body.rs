use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use distlock::Locks;
use distlock_conformance::history::Recorder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::client::Client;
use crate::here::Here;
use crate::worker::{Order, STOP, VARIABLE};

/// What a worker runs in.
#[derive(Debug)]
pub(super) enum Body {
    Process {
        process: Child,
        /// Apart from the process: who waits for one closes its input, and this one would end.
        input: ChildStdin,
    },
    /// With one thread, so that what blocks it pauses the worker.
    Runtime {
        runtime: Option<Runtime>,
        stop: watch::Sender<bool>,
        work: JoinHandle<Result<()>>,
    },
}

impl Body {
    pub(super) fn process(order: &Order) -> Result<Self> {
        let process = Command::new(std::env::current_exe()?)
            .env(VARIABLE, serde_json::to_string(&order)?)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = process.context("a worker cannot be started")?;
        let input = process.stdin.take().context("a worker has no input")?;
        Ok(Self::Process { process, input })
    }

    pub(super) fn runtime(order: Order, here: Here) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let work = runtime.spawn(async move {
            let recorder = Arc::new(Recorder::create(&order.history)?);
            let locks = Locks::builder()
                .ttl(order.ttl)
                .build(here.backend().await?)?;
            let (number, ttl, registers) = (order.client, order.ttl, order.registers);
            let client = Client::new(number, locks, ttl, recorder, registers, stopped).await?;
            client.work(order.seed).await;
            Ok(())
        });
        Ok(Self::Runtime {
            runtime: Some(runtime),
            stop,
            work,
        })
    }

    /// Ends it without any chance to clean up, and waits until it is no more.
    pub(super) async fn kill(mut self) -> Result<()> {
        match &mut self {
            Self::Process { process, .. } => process.kill().await?,
            Self::Runtime { runtime, .. } => {
                if let Some(runtime) = runtime.take() {
                    spawn_blocking(|| runtime.shutdown_timeout(Duration::from_secs(10))).await?;
                }
            }
        }
        Ok(())
    }

    /// Stops it where it is for so long.
    pub(super) async fn pause(&self, lasts: Duration) -> Result<()> {
        match self {
            Self::Process { process, .. } => {
                let pid = process.id().context("a worker has ended by itself")?;
                let pid = Pid::from_raw(pid.cast_signed());
                kill(pid, Signal::SIGSTOP)?;
                sleep(lasts).await;
                kill(pid, Signal::SIGCONT)?;
            }
            Self::Runtime { runtime, .. } => {
                let runtime = runtime.as_ref().context("a worker was killed before")?;
                runtime.spawn(async move { thread::sleep(lasts) }).await?;
            }
        }
        Ok(())
    }

    /// Tells it to end in order.
    pub(super) async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Process { input, .. } => {
                input.write_all(format!("{STOP}\n").as_bytes()).await?;
            }
            Self::Runtime { stop, .. } => {
                stop.send_replace(true);
            }
        }
        Ok(())
    }

    /// Waits until it has ended.
    pub(super) async fn end(&mut self) -> Result<()> {
        match self {
            Self::Process { process, .. } => {
                let status = process.wait().await?;
                ensure!(status.success(), "a worker ended: {status}");
                Ok(())
            }
            Self::Runtime { work, .. } => work.await?,
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A runtime may not be dropped within another one, where it would wait for its tasks.
        if let Self::Runtime { runtime, .. } = self
            && let Some(runtime) = runtime.take()
        {
            runtime.shutdown_background();
        }
    }
}
