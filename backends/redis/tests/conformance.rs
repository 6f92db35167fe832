//! The suite of all promises, on a real server.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{Redis, Server};
use suite::Started;

static REDIS: LazyLock<Started<Server<Redis>>> =
    LazyLock::new(|| Started::by(|| Server::given_or_started(Redis::new())));

fn main() -> ExitCode {
    suite::run_at(|| REDIS.server.url())
}
