//! What a second process does: the executable of the suite, started by a case.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use distlock_core::{Error, ErrorKind, Guard, Locks, Result};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use crate::harness::Harness;

/// The environment variable that makes a process a child, and holds its [`Order`].
pub(crate) const VARIABLE: &str = "DISTLOCK_CONFORMANCE_ORDER";

/// What a child is to hold.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) ttl: Duration,
}

/// What a child is asked, one a line, on its standard input.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// Does it hold the lock, by its own look?
    Look,
    Release,
}

/// What a child says, one a line, on its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Holds { token: u64 },
    Saw { held: bool },
    Released,
    Failed(String),
}

impl Order {
    /// The order under which this process was started, if it is a child.
    pub(crate) fn from_environment() -> Option<Self> {
        serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
    }
}

/// Holds what is to be held and answers what is asked, until standard input ends. That happens too
/// when the parent dies, however it dies, so no child is left behind.
pub(crate) fn obey(harness: &dyn Harness, order: Order) -> ExitCode {
    let (ask, questions) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(question) = serde_json::from_str::<Question>(&line) else {
                break;
            };
            if ask.send(question).is_err() {
                break;
            }
        }
        // At once, whatever the other threads do; what is held is left to expire.
        std::process::exit(0);
    });
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let mut guard = match runtime.block_on(acquire(harness, order)) {
        Ok(guard) => Some(guard),
        Err(error) => return fail(&error.to_string()),
    };
    if let Some(guard) = &guard {
        tell(&Report::Holds {
            token: guard.token().get(),
        });
    }
    while let Ok(question) = questions.recv() {
        match question {
            Question::Look => tell(&Report::Saw {
                held: guard.as_ref().is_some_and(Guard::is_held),
            }),
            Question::Release => match runtime.block_on(release(guard.take())) {
                Ok(()) => tell(&Report::Released),
                Err(error) => tell(&Report::Failed(error.to_string())),
            },
        }
    }
    ExitCode::SUCCESS
}

async fn acquire(harness: &dyn Harness, order: Order) -> Result<Guard> {
    let backend = harness.backend_at(&order.address).await?;
    let locks = Locks::builder()
        .namespace(order.namespace)
        .ttl(order.ttl)
        .build(backend)?;
    locks.lock(order.name).acquire().await
}

async fn release(guard: Option<Guard>) -> Result<()> {
    match guard {
        Some(guard) => guard.release().await,
        None => Err(Error::new(ErrorKind::Lost, "released before")),
    }
}

fn fail(message: &str) -> ExitCode {
    tell(&Report::Failed(message.to_owned()));
    ExitCode::FAILURE
}

/// A line to the parent. If that has gone, so has the reason to say anything.
fn tell(report: &Report) {
    let line = serde_json::to_string(report).expect("plain fields always serialise");
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
