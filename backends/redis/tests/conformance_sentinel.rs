//! The suite of all promises, on the primary that sentinels know.

mod suite;

use std::process::ExitCode;
use std::sync::LazyLock;

use distlock_testbed::{Redis, RedisSentinels};
use suite::Started;

static SENTINELS: LazyLock<Started<RedisSentinels>> =
    LazyLock::new(|| Started::by(|| RedisSentinels::started(3, Redis::new)));

fn main() -> ExitCode {
    suite::run_at(|| SENTINELS.server.url())
}
