//! What takes too long for the tests; see `cargo xtask mutants`.

mod matrix;
mod rebuild;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let numbers: Result<Vec<u32>, _> = arguments.iter().map(|number| number.parse()).collect();
    match (numbers, &arguments[..]) {
        (Ok(numbers), _) => rebuild::run(&numbers),
        (_, [what]) if what == "cases" => matrix::run(),
        (_, [what]) if what == "table" => write_table(),
        _ => {
            eprintln!("numbers of mutants, `cases` or `table`; not {arguments:?}");
            ExitCode::from(2)
        }
    }
}

fn write_table() -> ExitCode {
    let file = workspace().join("docs/mutants.md");
    if let Err(error) = std::fs::write(&file, distlock_mutants::table()) {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The folder of the workspace.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
