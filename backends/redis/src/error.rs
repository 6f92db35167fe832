//! Redis's errors, sorted by what the caller can do.

use distlock_core::{Error, ErrorKind};
use redis::{ErrorKind as Redis, RedisError};

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
    match error.kind() {
        Redis::AuthenticationFailed => REFUSED_USER,
        Redis::RESP3NotSupported => (
            ErrorKind::Misconfigured,
            "the server is too old; locks take Redis 6.2 or newer, or Valkey",
        ),
        Redis::InvalidClientConfig => (
            ErrorKind::InvalidInput,
            "the client cannot be used as it is set up",
        ),
        Redis::Io if is_of_tls(error) => NO_TRUST,
        Redis::Io => of_words(error.detail().unwrap_or_default()),
        // Where it breaks off, an answer looks damaged.
        Redis::Parse => (
            ErrorKind::Unavailable,
            "the connection broke in the midst of an answer",
        ),
        Redis::ClusterConnectionNotFound => (
            ErrorKind::Unavailable,
            "no server of the cluster can be reached",
        ),
        Redis::MasterNameNotFoundBySentinel => (
            ErrorKind::Unavailable,
            "no sentinel knows a primary of that name",
        ),
        _ => of_code(code(error)),
    }
}

/// Whether a certificate, or another part of TLS, is what fails.
#[cfg(feature = "tls")]
fn is_of_tls(error: &RedisError) -> bool {
    use std::error::Error;
    use std::io;
    use std::sync::Arc;

    type Shared = Arc<dyn Error + Send + Sync>;
    let source = error.source().and_then(|it| it.downcast_ref::<Shared>());
    let failure = source.and_then(|it| it.downcast_ref::<io::Error>());
    let cause = failure.and_then(io::Error::get_ref);
    cause.is_some_and(|it| it.is::<rustls::Error>())
}

#[cfg(not(feature = "tls"))]
fn is_of_tls(_error: &RedisError) -> bool {
    false
}

/// Why the client of a cluster was let in by none of its servers, which it tells by words alone.
fn of_words(words: &str) -> (ErrorKind, &'static str) {
    let any = |causes: &[&str]| causes.iter().any(|cause| words.contains(cause));
    if any(&["AuthenticationFailed", "NOAUTH", "WRONGPASS"]) {
        REFUSED_USER
    } else if any(&["invalid peer certificate", "received fatal alert"]) {
        NO_TRUST
    } else {
        (ErrorKind::Unavailable, "the server cannot be reached")
    }
}

const NO_TRUST: (ErrorKind, &str) = (
    ErrorKind::Misconfigured,
    "the server and this program do not come to trust each other by TLS",
);

const REFUSED_USER: (ErrorKind, &str) = (
    ErrorKind::Unauthorized,
    "the server refused the user or the password",
);

fn of_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "NOAUTH" | "WRONGPASS" => REFUSED_USER,
        "NOPERM" => (
            ErrorKind::Unauthorized,
            "this user may not do all that locks take; give it the rights \
             `~<namespace>:* &distlock:* +@read +@write +@scripting +@pubsub +@connection +time`",
        ),
        "READONLY" => (
            ErrorKind::Unavailable,
            "the server is a read-only replica; locks are taken at the primary",
        ),
        "OOM" => (
            ErrorKind::Unavailable,
            "the server's memory is full: it keeps the locks that are held, and takes no new ones",
        ),
        "WRONGTYPE" => (
            ErrorKind::Unexpected,
            "a key of this lock holds something else, which was left as it is; \
             use another namespace",
        ),
        "damaged" => (
            ErrorKind::Unexpected,
            "what is stored of this lock is damaged, and was left as it is; delete its keys once \
             nobody holds it",
        ),
        "MISCONF" | "NOREPLICAS" => (
            ErrorKind::Unavailable,
            "the server takes no writes, since it cannot save or replicate them",
        ),
        "BUSY" | "LOADING" | "MASTERDOWN" | "TRYAGAIN" => {
            (ErrorKind::Unavailable, "the server is busy")
        }
        "no cluster" => (
            ErrorKind::Misconfigured,
            "the server is none of a cluster; use a URL that begins with `redis:`",
        ),
        "CLUSTERDOWN" => (ErrorKind::Unavailable, "the cluster is down"),
        "MOVED" | "ASK" => (
            ErrorKind::Misconfigured,
            "the server is one of a cluster, and this name is kept by another of its servers; \
             use a URL that begins with `redis-cluster:`",
        ),
        _ => (ErrorKind::Unexpected, "the server refused"),
    }
}

/// The error's code, which older servers hide in the text when a script was running.
fn code(error: &RedisError) -> &str {
    const IN_TEXT: [(&str, &str); 10] = [
        ("cluster support disabled", "no cluster"),
        ("user executing the script can't run", "NOPERM"),
        ("NOPERM ", "NOPERM"),
        ("OOM ", "OOM"),
        ("WRONGTYPE ", "WRONGTYPE"),
        ("READONLY ", "READONLY"),
        ("MISCONF ", "MISCONF"),
        ("NOREPLICAS ", "NOREPLICAS"),
        // What a script says, or Lua: "attempt to perform arithmetic on a nil value".
        ("used up or damaged", "damaged"),
        ("attempt to ", "damaged"),
    ];
    let code = error.code().unwrap_or_default();
    let text = error.detail().unwrap_or_default();
    let hidden = IN_TEXT.iter().find(|(part, _)| text.contains(part));
    match (code, hidden) {
        ("ERR", Some((_, hidden))) => hidden,
        _ => code,
    }
}

/// Whether the server is not, or no more, the one to ask: another may be found in its place.
pub(crate) fn is_misplaced(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || code(error) == "READONLY"
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    fn answered(line: &str) -> Error {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        of(Value::extract_error(value).unwrap_err())
    }

    #[test]
    fn each_answer_has_the_kind_that_tells_what_to_do() {
        for (line, kind) in [
            ("NOAUTH Authentication required.", ErrorKind::Unauthorized),
            (
                "WRONGPASS invalid username-password pair",
                ErrorKind::Unauthorized,
            ),
            (
                "NOPERM this user has no permissions",
                ErrorKind::Unauthorized,
            ),
            (
                "ERR The user executing the script can't run this command or subcommand",
                ErrorKind::Unauthorized,
            ),
            (
                "READONLY You can't write against a replica",
                ErrorKind::Unavailable,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                ErrorKind::Unavailable,
            ),
            (
                "ERR Error running script (call to f_0): @user_script:9: -OOM command not allowed",
                ErrorKind::Unavailable,
            ),
            ("WRONGTYPE Operation against a key", ErrorKind::Unexpected),
            (
                "LOADING Redis is loading the dataset in memory",
                ErrorKind::Unavailable,
            ),
            (
                "BUSY Redis is busy running a script",
                ErrorKind::Unavailable,
            ),
            (
                "MISCONF Errors writing to the AOF file",
                ErrorKind::Unavailable,
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                ErrorKind::Unavailable,
            ),
            ("CLUSTERDOWN Hash slot not served", ErrorKind::Unavailable),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Misconfigured),
            ("ERR something else", ErrorKind::Unexpected),
        ] {
            assert_eq!(answered(line).kind(), kind, "{line}");
        }
    }
}
