//! `cargo xtask servers`: real servers, to try things on.

use std::process::{Command, ExitCode};

use crate::needs;
use crate::steps::{Steps, cargo};

/// Starts them, and stops them when interrupted.
pub(crate) fn up() -> ExitCode {
    let mut steps = Steps::begin();
    needs::meet(&mut steps, needs::SERVERS);
    if !steps.all_well() {
        return steps.end();
    }
    become_program(&mut cargo("run --quiet --package distlock-testbed -- up"))
}

/// Goes on as that program, so that whoever interrupts or ends this process ends that one, in
/// order.
#[cfg(unix)]
fn become_program(command: &mut Command) -> ExitCode {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    eprintln!("cannot be run: {error}");
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> ExitCode {
    let mut steps = Steps::begin();
    steps.run(command);
    steps.end()
}
