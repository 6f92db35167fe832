//! The stores that the mutants are made of keep every promise as long as nothing is wrong with
//! them, so what catches a mutant catches its flaw.

use std::process::ExitCode;
use std::thread;

use distlock_conformance::run;
use distlock_mutants::Store;

fn main() -> ExitCode {
    let ended = thread::scope(|threads| {
        let running = Store::sound().map(|store| threads.spawn(|| run(store)));
        running.map(|suite| suite.join().unwrap_or(ExitCode::FAILURE))
    });
    let failed = ended.into_iter().find(|ended| *ended != ExitCode::SUCCESS);
    failed.unwrap_or(ExitCode::SUCCESS)
}
