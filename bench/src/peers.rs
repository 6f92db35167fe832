//! The peers whose dependencies this workspace does not have: a program of its own, which is asked
//! round by round.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use distlock_load::{Answer, Outcome, Peer, Question, Workload, async_trait};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::contestant::Contestant;

/// How much longer than a round its answer may take: those who poll may be starved for seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, and whom it can ask.
#[derive(Clone)]
pub(crate) struct Peers {
    talk: Arc<Mutex<Talk>>,
    known: Vec<Peer>,
}

struct Talk {
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Killed with this.
    _program: Child,
}

impl Peers {
    /// Builds the program, and starts it.
    pub(crate) async fn started() -> Result<Self> {
        let built = cargo("build").status().await?;
        ensure!(built.success(), "cargo could not build it: {built}");
        let mut run = cargo("run");
        run.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut program = run.spawn()?;
        let questions = program.stdin.take().context("it has no input")?;
        let answers = program.stdout.take().context("it has no output")?;
        let mut talk = Talk {
            questions,
            answers: BufReader::new(answers).lines(),
            _program: program,
        };
        let known = serde_json::from_str(&talk.line().await?)?;
        let talk = Arc::new(Mutex::new(talk));
        Ok(Self { talk, known })
    }

    /// Those over this store.
    pub(crate) fn over(&self, store: &str, url: &str) -> Vec<Box<dyn Contestant>> {
        let of_store = self.known.iter().filter(|peer| peer.store == store);
        let there = |peer: &Peer| {
            let (name, url) = (peer.name.clone(), url.to_owned());
            let talk = Arc::clone(&self.talk);
            Box::new(There { name, url, talk }) as _
        };
        of_store.map(there).collect()
    }
}

/// With its own target folder: it shares no lock file with this workspace.
fn cargo(verb: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args([
            verb,
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "peers-bench",
        ])
        .arg("--manifest-path")
        .arg(root.join("peers/Cargo.toml"))
        .env_remove("CARGO_TARGET_DIR");
    cargo
}

impl Talk {
    async fn ask(&mut self, question: &Question) -> Result<Option<Outcome>> {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        self.questions.write_all(line.as_bytes()).await?;
        let answer = timeout(question.length + PATIENCE, self.line()).await;
        let answer: Answer = serde_json::from_str(&answer.context("no answer in time")??)?;
        answer.map_err(|fault| anyhow!(fault))
    }

    async fn line(&mut self) -> Result<String> {
        match self.answers.next_line().await? {
            Some(line) => Ok(line),
            None => bail!("the program of the peers has ended"),
        }
    }
}

struct There {
    name: String,
    url: String,
    talk: Arc<Mutex<Talk>>,
}

#[async_trait]
impl Contestant for There {
    fn name(&self) -> &str {
        &self.name
    }

    async fn round(&self, workload: Workload, length: Duration) -> Result<Option<Outcome>> {
        let question = Question {
            peer: self.name.clone(),
            url: self.url.clone(),
            workload,
            length,
        };
        self.talk.lock().await.ask(&question).await
    }
}
