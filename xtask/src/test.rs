//! `cargo xtask test`: everything that the tests need, then all tests.

use std::process::ExitCode;

use crate::needs;
use crate::programs;
use crate::steps::{Steps, cargo};

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::begin();
    needs::meet(&mut steps, needs::NEEDS);
    if !steps.all_well() {
        return steps.end();
    }
    run_programs_of(&mut steps, "--workspace --all-features");
    steps.run(&mut cargo("test --workspace --all-features --doc"));
    // What the facade does without its optional stores cannot be seen with them built in.
    run_programs_of(
        &mut steps,
        "--package distlock --no-default-features --lib --test *",
    );
    // In which order tasks and threads take their steps, drawn again and again.
    steps.run(
        cargo("test --package distlock-core --lib --profile explore schedules")
            .env("RUSTFLAGS", "--cfg shuttle"),
    );
    steps.end()
}

/// Not by `cargo test`, which runs one program at a time, nor by nextest, which starts one for each
/// case: a suite starts its server once, and its cases share it.
fn run_programs_of(steps: &mut Steps, chosen: &str) {
    let mut built = Vec::new();
    steps.take(&format!("build the tests of {chosen}"), || {
        built = programs::build(chosen)?;
        Ok(())
    });
    steps.take(&format!("run the tests of {chosen}"), || {
        programs::run(built)
    });
}
