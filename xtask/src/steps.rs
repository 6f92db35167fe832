//! Runs programs one after the other, and tells what came of each.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Steps that are all taken, also after one has failed.
pub(crate) struct Steps {
    began: Instant,
    failed: Vec<String>,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            failed: Vec::new(),
        }
    }

    /// Takes a step: a program that succeeds.
    pub(crate) fn run(&mut self, command: &mut Command) {
        let shown = shown(command);
        println!("==> {shown}");
        let began = Instant::now();
        let outcome = match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(format!("cannot be run: {error}")),
        };
        self.told(&shown, outcome, began.elapsed());
    }

    /// Takes a step that is no program.
    pub(crate) fn take(&mut self, what: &str, step: impl FnOnce() -> Result<(), String>) {
        println!("==> {what}");
        let began = Instant::now();
        let outcome = step();
        self.told(what, outcome, began.elapsed());
    }

    /// Says that a step is left out, and why: never silently.
    pub(crate) fn skip(what: &str, why: &str) {
        println!("==> {what}\n    skipped: {why}");
    }

    /// Whether no step has failed so far.
    pub(crate) fn all_well(&self) -> bool {
        self.failed.is_empty()
    }

    /// What came of all, with all that is known of what failed: whoever reads nothing but the end of
    /// a log finds it there.
    pub(crate) fn end(self) -> ExitCode {
        let took = seconds(self.began.elapsed());
        if self.failed.is_empty() {
            println!("==> all passed in {took}");
            return ExitCode::SUCCESS;
        }
        eprintln!("==> {} failed in {took}:", self.failed.len());
        for failed in &self.failed {
            eprintln!("    {}", failed.replace('\n', "\n    "));
        }
        ExitCode::FAILURE
    }

    fn told(&mut self, what: &str, outcome: Result<(), String>, took: Duration) {
        let took = seconds(took);
        match outcome {
            Ok(()) => println!("    passed in {took}"),
            Err(fault) => {
                let short = fault.lines().next().unwrap_or_default();
                eprintln!("    FAILED in {took}: {short}");
                self.failed.push(format!("{what}: {fault}"));
            }
        }
    }
}

/// A `cargo` with these arguments, separated by spaces: the same one that runs this program.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments.split_whitespace());
    cargo
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(&program)
        .to_owned();
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}='{}'",
            name.to_string_lossy(),
            value?.to_string_lossy()
        ))
    });
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<_> = variables.chain([program]).chain(arguments).collect();
    words.join(" ")
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
