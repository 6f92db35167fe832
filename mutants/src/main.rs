//! What takes too long for the tests: see `cargo xtask mutants`.

mod matrix;

use std::process::ExitCode;

fn main() -> ExitCode {
    matrix::run();
    ExitCode::SUCCESS
}
