//! What is particular to Redis, on real servers that are broken on purpose.

mod clock;
mod due;
mod faults;
mod keys;
mod network;
mod refusals;
mod several;
#[cfg(feature = "tls")]
mod tls;
mod together;

use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use distlock_redis::RedisBackend;

/// The TTL of locks that are to survive what is done to them, or not.
const TTL: Duration = Duration::from_secs(2);

/// A client of the server at this URL, as foreign to all others as one of another process.
async fn locks(url: &str) -> Result<Locks> {
    let backend = RedisBackend::connect(url).await?;
    Ok(Locks::builder().ttl(TTL).build(backend)?)
}
