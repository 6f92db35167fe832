//! Redis's errors, sorted by what the caller can do.

use distlock_core::{Error, ErrorKind};
use redis::{ErrorKind as Redis, RedisError, ServerErrorKind as Server};

/// What the server, or the way to it, says.
pub(crate) fn of(error: RedisError) -> Error {
    let (kind, message) = told(&error);
    Error::new(kind, message).with_source(error)
}

/// An answer that none of our scripts gives.
pub(crate) fn strange(what: &str) -> Error {
    Error::new(
        ErrorKind::Unexpected,
        format!("the server answered {what}, which no script of this library does"),
    )
}

fn told(error: &RedisError) -> (ErrorKind, &'static str) {
    match (error.kind(), error.code()) {
        (Redis::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => (
            ErrorKind::Unauthorized,
            "the server refused the user or the password",
        ),
        (Redis::Server(Server::NoPerm), _) => (
            ErrorKind::Unauthorized,
            "this user may not do all that locks take; give it the rights \
             `~<namespace>:* &distlock:* +@read +@write +@scripting +@pubsub +@connection`",
        ),
        (Redis::RESP3NotSupported, _) => (
            ErrorKind::Misconfigured,
            "the server is too old; locks take Redis 6.2 or newer, or Valkey",
        ),
        (Redis::Server(Server::ReadOnly), _) => (
            ErrorKind::Unavailable,
            "the server is a read-only replica; locks are taken at the primary",
        ),
        (_, Some("OOM")) => (
            ErrorKind::Unavailable,
            "the server's memory is full: it keeps the locks that are held, and takes no new ones",
        ),
        (_, Some("WRONGTYPE")) => (
            ErrorKind::Unexpected,
            "the key of this lock holds something else, which was left as it is; \
             use another namespace",
        ),
        (_, Some("MISCONF" | "NOREPLICAS")) => (
            ErrorKind::Unavailable,
            "the server takes no writes, since it cannot save or replicate them",
        ),
        (_, Some("BUSY")) | (Redis::Server(Server::BusyLoading), _) => {
            (ErrorKind::Unavailable, "the server is busy")
        }
        (Redis::Server(Server::ClusterDown | Server::MasterDown | Server::TryAgain), _)
        | (Redis::ClusterConnectionNotFound, _) => (
            ErrorKind::Unavailable,
            "the cluster does not serve this name's slot",
        ),
        (Redis::Server(Server::Moved | Server::Ask), _) => (
            ErrorKind::Misconfigured,
            "the server is one of a cluster; name it as a cluster",
        ),
        (Redis::InvalidClientConfig, _) => (
            ErrorKind::InvalidInput,
            "the client cannot be used as it is set up",
        ),
        (
            Redis::Io | Redis::MasterNameNotFoundBySentinel | Redis::NoValidReplicasFoundBySentinel,
            _,
        ) => (ErrorKind::Unavailable, "the server cannot be reached"),
        _ => (ErrorKind::Unexpected, "the server refused"),
    }
}
