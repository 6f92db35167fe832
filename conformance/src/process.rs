use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::child::{Order, Question, Report, VARIABLE};
use crate::context::soon;
use crate::failure::Unmet;

/// A second process that holds a lock. It ends with this, or with the process that started it.
pub(crate) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this executable once more, to acquire the lock and hold it.
    pub(crate) fn start(
        address: String,
        namespace: &str,
        name: &str,
        ttl: Duration,
    ) -> Result<Self, Unmet> {
        let order = Order {
            address,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ttl,
        };
        let order = serde_json::to_string(&order).expect("plain fields always serialise");
        let executable = std::env::current_exe().map_err(unmet("the path of this executable"))?;
        let mut process = Command::new(executable)
            .env(VARIABLE, order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(unmet("a second process"))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Unmet("expected pipes to the second process".to_owned()));
        };
        Ok(Self {
            process,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// The token of its hold, once it has it.
    pub(crate) async fn token(&mut self) -> Result<u64, Unmet> {
        match self.report().await? {
            Report::Holds { token } => Ok(token),
            other => Err(Unmet(format!(
                "expected the second process to hold the lock; it says {other:?}"
            ))),
        }
    }

    /// Has it look whether it holds the lock. The answer is that of [`seen`](Self::seen).
    pub(crate) async fn look(&mut self) -> Result<(), Unmet> {
        self.ask(Question::Look).await
    }

    /// What it saw when it looked.
    pub(crate) async fn seen(&mut self) -> Result<bool, Unmet> {
        match self.report().await? {
            Report::Saw { held } => Ok(held),
            other => Err(Unmet(format!(
                "expected the second process to look; it says {other:?}"
            ))),
        }
    }

    /// Has it release the lock.
    pub(crate) async fn release(&mut self) -> Result<(), Unmet> {
        self.ask(Question::Release).await?;
        match self.report().await? {
            Report::Released => Ok(()),
            other => Err(Unmet(format!(
                "expected the second process to release; it says {other:?}"
            ))),
        }
    }

    /// Kills it, without any chance to clean up.
    pub(crate) async fn kill(&mut self) -> Result<(), Unmet> {
        self.process
            .kill()
            .await
            .map_err(unmet("the second process to be killed"))
    }

    /// Stops it where it is; its connections stay open.
    pub(crate) fn stop(&self) -> Result<(), Unmet> {
        self.signal("SIGSTOP")
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<(), Unmet> {
        self.signal("SIGCONT")
    }

    #[cfg(unix)]
    fn signal(&self, signal: &str) -> Result<(), Unmet> {
        use nix::sys::signal::{Signal, kill};
        use nix::unistd::Pid;

        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| Unmet("expected the second process to be alive".to_owned()))?;
        let signal: Signal = signal.parse().map_err(unmet("a signal of that name"))?;
        kill(Pid::from_raw(pid), signal).map_err(unmet("the second process to be signalled"))
    }

    #[cfg(not(unix))]
    fn signal(&self, signal: &str) -> Result<(), Unmet> {
        Err(Unmet(format!("this system has no {signal}")))
    }

    async fn ask(&mut self, question: Question) -> Result<(), Unmet> {
        let mut line = serde_json::to_string(&question).expect("plain fields always serialise");
        line.push('\n');
        self.input
            .write_all(line.as_bytes())
            .await
            .map_err(unmet("the second process to listen"))
    }

    async fn report(&mut self) -> Result<Report, Unmet> {
        let line = soon("a line of the second process", self.output.next_line()).await?;
        let line = line.map_err(unmet("a line of the second process"))?;
        let line =
            line.ok_or_else(|| Unmet("the second process ended without an answer".to_owned()))?;
        serde_json::from_str(&line).map_err(unmet(&format!("a report, not `{line}`")))
    }
}

fn unmet<E: fmt::Display>(expected: &str) -> impl FnOnce(E) -> Unmet + use<'_, E> {
    move |error| Unmet(format!("expected {expected}: {error}"))
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
