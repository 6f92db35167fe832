//! `cargo xtask test`: everything that the tests need, then all tests.

use std::process::ExitCode;

use crate::needs;
use crate::steps::{Steps, cargo};

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::begin();
    needs::meet(&mut steps, needs::NEEDS);
    if !steps.all_well() {
        return steps.end();
    }
    // Not nextest: it runs no doctests.
    steps.run(&mut cargo("test --workspace --all-features --no-fail-fast"));
    // What the facade does without its optional stores cannot be seen with them built in.
    steps.run(&mut cargo(
        "test --package distlock --no-default-features --no-fail-fast --lib --test *",
    ));
    // In which order tasks and threads take their steps, drawn again and again.
    steps.run(
        cargo("test --package distlock-core --lib --profile explore schedules")
            .env("RUSTFLAGS", "--cfg shuttle"),
    );
    steps.end()
}
