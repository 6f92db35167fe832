//! The stores that the mutants are made of keep every promise as long as nothing is wrong with
//! them, so what catches a mutant catches its flaw. The project's own store has this test itself.

use std::process::ExitCode;
use std::thread;

use distlock_conformance::run;
use distlock_mutants::Base;

fn main() -> ExitCode {
    let ended = thread::scope(|threads| {
        let running =
            [Base::Plain, Base::Records].map(|base| threads.spawn(move || run(base.sound())));
        running.map(|suite| suite.join().unwrap_or(ExitCode::FAILURE))
    });
    let failed = ended.into_iter().find(|ended| *ended != ExitCode::SUCCESS);
    failed.unwrap_or(ExitCode::SUCCESS)
}
