//! One thing that a peer does, and how it is shown.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::runtime;
use tokio::time::timeout;

/// Longer than any takes.
const BOUND: Duration = Duration::from_secs(100);

/// A crate with locks.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    pub(crate) holes: &'static [Hole],
}

/// Tries it out.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = Result<Seen>>>>;

/// Made by [`hole!`].
#[derive(Debug)]
pub(crate) struct Hole {
    pub(crate) module: &'static str,
    pub(crate) function: &'static str,
    pub(crate) documentation: Documentation,
    /// What a user relies on.
    pub(crate) expected: &'static str,
    pub(crate) show: fn() -> Attempt,
}

/// What the peer's documentation says of what a user relies on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Documentation {
    /// That it is so.
    Promises,
    /// That it is not so.
    Warns,
    /// Nothing.
    IsSilent,
}

/// What came of trying.
#[derive(Debug)]
pub(crate) struct Seen {
    is_shown: bool,
    peer: String,
    ours: Option<String>,
}

pub(crate) enum Outcome {
    Shown,
    NotShown,
    NotTried,
}

/// A [`Hole`] that is shown by the function of this name.
macro_rules! hole {
    ($function:ident, $documentation:ident, $expected:literal) => {
        $crate::hole::Hole {
            module: module_path!(),
            function: stringify!($function),
            documentation: $crate::hole::Documentation::$documentation,
            expected: $expected,
            show: || Box::pin($function()),
        }
    };
}
pub(crate) use hole;

impl Seen {
    /// Whether the peer did it, and what is to be told if so.
    pub(crate) fn of_peer(is_shown: bool, figures: impl Into<String>) -> Self {
        Self {
            is_shown,
            peer: figures.into(),
            ours: None,
        }
    }

    /// With what distlock did in the same place; that it does well is for the function to ensure.
    pub(crate) fn beside_ours(mut self, figures: impl Into<String>) -> Self {
        self.ours = Some(figures.into());
        self
    }
}

impl Hole {
    pub(crate) fn name(&self) -> String {
        let module = self.module.rsplit("::").next().unwrap_or_default();
        format!("{module}::{}", self.function)
    }

    /// Whether this is the name, or the first or the last part of it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let own = self.name();
        let parts = own.split_once("::");
        own == name || parts.is_some_and(|(module, function)| module == name || function == name)
    }

    /// Tries it on a runtime of its own, so that nothing of it goes on afterwards, and prints what
    /// was seen.
    pub(crate) fn run(&self) -> Outcome {
        println!("  {}", self.name());
        println!("    expected ({}): {}", self.documentation, self.expected);
        let began = Instant::now();
        let seen = self.try_out();
        let took = began.elapsed().as_secs_f64();
        match seen {
            Ok(Seen {
                is_shown: true,
                peer,
                ours,
            }) => {
                println!("    shown in {took:.1} s: {peer}");
                if let Some(ours) = ours {
                    println!("    distlock: {ours}");
                }
                Outcome::Shown
            }
            Ok(_) => {
                println!("    NOT SHOWN in {took:.1} s: the peer does not do as it did");
                Outcome::NotShown
            }
            Err(error) => {
                println!("    COULD NOT BE TRIED, {took:.1} s: {error:#}");
                Outcome::NotTried
            }
        }
    }

    fn try_out(&self) -> Result<Seen> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let seen = runtime.block_on(async { timeout(BOUND, (self.show)()).await });
        runtime.shutdown_background();
        seen.context("it does not end")?
    }
}

impl fmt::Display for Documentation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Promises => "documented",
            Self::Warns => "documented otherwise",
            Self::IsSilent => "not documented",
        })
    }
}
