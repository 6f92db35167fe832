//! Long random work on a real store that fails, every event recorded, checked and drawn.
//!
//! This process starts the store, the workers, which are processes too, and the resource that the
//! locks protect; then it breaks things. What is broken when and what the workers do follows from a
//! seed, as far as machines can be made to repeat themselves.

mod bar;
mod bed;
mod client;
mod crew;
mod here;
mod nemesis;
mod observer;
mod options;
mod picture;
mod register;
mod report;
mod run;
mod stalls;
mod work;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use options::Options;

fn main() -> ExitCode {
    if let Some(order) = worker::Order::from_environment() {
        return worker::obey(order);
    }
    match run::run(&Options::parse()) {
        Ok(verdict) => verdict,
        Err(error) => {
            eprintln!("the torture could not be done: {error:#}");
            ExitCode::from(2)
        }
    }
}
