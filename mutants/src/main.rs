//! What takes too long for the tests; see `cargo xtask mutants`.

mod matrix;
mod rebuild;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("cases") => matrix::run(),
        Some("table") => print!("{}", distlock_mutants::table()),
        _ => {
            let numbers = arguments.iter().flat_map(|number| number.parse());
            return rebuild::run(&numbers.collect::<Vec<_>>());
        }
    }
    ExitCode::SUCCESS
}
