//! Runs the programs that cargo builds out of tests, several at a time.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::root;
use crate::steps::cargo;

/// How many run at once. They wait for much of their time, and each runs several tests at once.
const AT_ONCE: usize = 2;

/// What has clusters of etcd or ZooKeeper, most of all where it breaks them, runs by itself: one that
/// gets no processor time for a second votes its leader out. So does torture, which judges what takes
/// time only while the machine is quiet.
const ALONE: [&str; 5] = [
    "backends/etcd/tests/conformance_cluster.rs",
    "backends/etcd/tests/server/",
    "backends/zookeeper/tests/conformance_ensemble.rs",
    "backends/zookeeper/tests/server/",
    "torture/tests/stores.rs",
];

/// How many tests each runs at once, if it does not decide that itself: they wait as well.
const TESTS_AT_ONCE: &str = "4";

/// A program with tests in it.
pub(crate) struct TestProgram {
    /// Its source file.
    name: String,
    executable: PathBuf,
    /// The folder of its package, where cargo would run it.
    folder: PathBuf,
}

/// What cargo builds for the tests that these arguments choose.
pub(crate) fn build(arguments: &str) -> Result<Vec<TestProgram>, String> {
    let mut command = cargo("test --no-run --message-format json-render-diagnostics");
    let command = command.args(arguments.split_whitespace());
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let mut programs = Vec::new();
    for message in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>() {
        let message = message.map_err(|error| format!("cargo's output is not JSON: {error}"))?;
        programs.extend(TestProgram::in_message(&message));
    }
    // Cargo's order is that in which it has finished them.
    programs.sort_by(|one: &TestProgram, other| one.name.cmp(&other.name));
    Ok(programs)
}

/// Runs all of them, and shows what each has printed when it has ended.
pub(crate) fn run(programs: Vec<TestProgram>) -> Result<(), String> {
    let is_alone = |program: &TestProgram| ALONE.iter().any(|it| program.name.contains(it));
    let (alone, others) = programs.into_iter().partition(is_alone);
    let failed = Mutex::new(Vec::new());
    run_at_once(alone, 1, &failed);
    run_at_once(others, AT_ONCE, &failed);
    match failed.into_inner() {
        Ok(failed) if failed.is_empty() => Ok(()),
        Ok(failed) => Err(failed.join("\n")),
        Err(_) => Err("a thread that ran tests panicked".to_owned()),
    }
}

/// Runs these, so many at a time, and takes note of what has failed.
fn run_at_once(programs: Vec<TestProgram>, at_once: usize, failed: &Mutex<Vec<String>>) {
    let waiting = Mutex::new(programs.into_iter());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(program) = next() {
                    if let Err(fault) = program.run()
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push(format!("{} {fault}", program.name));
                    }
                }
            });
        }
    });
}

impl TestProgram {
    /// The program that cargo says it has built, if this is what the message says.
    fn in_message(message: &Value) -> Option<Self> {
        let is_test = message["profile"]["test"].as_bool()?;
        let executable = message["executable"].as_str()?;
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
        let source = Path::new(message["target"]["src_path"].as_str()?);
        let source = source.strip_prefix(root()).unwrap_or(source);
        is_test.then(|| Self {
            name: source.display().to_string(),
            executable: executable.into(),
            folder: folder.into(),
        })
    }

    fn run(&self) -> Result<(), String> {
        println!("     Running {}", self.name);
        let began = Instant::now();
        let (printed, outcome) = self.output().map_err(|error| error.to_string())?;
        let took = began.elapsed().as_secs_f64();
        println!("\n     {} ({took:.1} s)\n{printed}", self.name);
        outcome
    }

    /// What it prints, in the order in which it does so, and whether its tests passed.
    fn output(&self) -> io::Result<(String, Result<(), String>)> {
        let (mut reader, writer) = io::pipe()?;
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.folder)
            .env("RUST_TEST_THREADS", TESTS_AT_ONCE)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut process = command.spawn()?;
        // The ends that the command has would keep the pipe open.
        drop(command);
        let mut printed = Vec::new();
        reader.read_to_end(&mut printed)?;
        let status = process.wait()?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let outcome = if status.success() {
            Ok(())
        } else {
            Err(format!("ended with {status}\n{}", failures(&printed)))
        };
        Ok((printed, outcome))
    }
}

/// What is to be read first of what a program with a failed test has printed: which tests failed and
/// why, or, if it has not come so far as to say that, its last lines.
fn failures(printed: &str) -> &str {
    const LAST_LINES: usize = 20;
    let ends_of_lines = || printed.rmatch_indices('\n').map(|(at, _)| at);
    printed
        .find("\nfailures:\n")
        .or_else(|| ends_of_lines().nth(LAST_LINES))
        .map_or(printed, |at| &printed[at..])
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_failed() {
        let printed = "running 2 tests\ntest a ... FAILED\n\nfailures:\n\n---- a ----\nwhy\n\n\
                       failures:\n    a\n\ntest result: FAILED\n";
        assert!(failures(printed).starts_with("failures:\n\n---- a ----\nwhy"));
        assert!(failures(printed).ends_with("test result: FAILED"));
    }

    #[test]
    fn shows_the_last_lines_of_one_that_was_killed() {
        let printed = (1..=100).map(|line| format!("{line}\n"));
        let printed = printed.collect::<String>();
        assert!(failures(&printed).starts_with("81\n"));
        assert!(failures(&printed).ends_with("\n100"));
        assert_eq!(failures("short"), "short");
    }
}
