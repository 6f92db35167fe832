use distlock_core::Result;
use redis::Value;
use tracing::{debug, warn};

/// Warns if a server says that it may drop locks when its memory is full. Whoever shares a cache
/// with locks may have to live with that, so it is no error.
pub(crate) fn check(info: Result<Value>) {
    match info {
        Ok(info) => {
            for server in texts(&info) {
                if let Some(policy) = eviction_policy(server) {
                    warn!(
                        policy,
                        "the Redis server may drop locks when its memory is full; set its \
                         maxmemory-policy to noeviction, or have a server for locks alone"
                    );
                }
            }
        }
        // There are users who may not ask.
        Err(error) => debug!(%error, "whether the Redis server may drop locks is not known"),
    }
}

/// How the server makes room by dropping keys, if it does: locks expire, so each policy but one may
/// choose them.
fn eviction_policy(info: &str) -> Option<&str> {
    let said = |key| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
    };
    let is_limited = said("maxmemory")? != "0";
    said("maxmemory_policy").filter(|policy| is_limited && *policy != "noeviction")
}

/// The text, or of a cluster that of each server.
fn texts(info: &Value) -> Vec<&str> {
    match info {
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => vec![text],
        Value::BulkString(text) => std::str::from_utf8(text).into_iter().collect(),
        Value::Map(servers) => servers.iter().flat_map(|(_, info)| texts(info)).collect(),
        _ => Vec::new(),
    }
}
