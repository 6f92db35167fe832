//! Postgres's errors, sorted by what the caller can do.

use distlock_core::{Error, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// SQLSTATEs (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(crate) mod code {
    pub(crate) const UNDEFINED_TABLE: &str = "42P01";
    pub(crate) const INTERNAL_ERROR: &str = "XX000";
    pub(crate) const QUERY_CANCELED: &str = "57014";
    pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub(super) const OUT_OF_MEMORY: &str = "53200";
    pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(super) const READ_ONLY: &str = "25006";
    pub(super) const UNDEFINED_DATABASE: &str = "3D000";
    pub(super) const IDLE_SESSION_TIMEOUT: &str = "57P05";
}

/// What the server, or the way to it, says.
pub(crate) fn of(error: sqlx::Error) -> Error {
    if let sqlx::Error::Configuration(cause) = &error
        && let Some(ours) = cause.downcast_ref::<Error>()
    {
        return ours.clone();
    }
    let (kind, message) = match code_of(&error) {
        Some(code) => of_code(code),
        None => of_client(&error),
    };
    Error::new(kind, message).with_source(error)
}

/// Whether the connection can be used no more.
pub(crate) fn is_broken(error: &sqlx::Error) -> bool {
    let server = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    server.is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

pub(crate) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    code_of(error) == Some(code)
}

/// What is said if two processes of the server turn out to serve one connection.
pub(crate) fn pooled() -> Error {
    Error::new(
        ErrorKind::Misconfigured,
        "a pooler stands before the server and lends its processes for a transaction at a time; \
         connect to the server, or have it lend them for a session",
    )
}

fn code_of(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    Some(error.try_downcast_ref::<PgDatabaseError>()?.code())
}

fn of_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        code::TOO_MANY_CONNECTIONS => (
            ErrorKind::Unavailable,
            "the server takes no more connections; raise `max_connections`, or the limit of this role or database",
        ),
        code::OUT_OF_MEMORY => (
            ErrorKind::Unavailable,
            "the server's lock table is full; raise `max_locks_per_transaction`",
        ),
        code::QUERY_CANCELED => (
            ErrorKind::Unavailable,
            "the request was cancelled on the server",
        ),
        code::IDLE_SESSION_TIMEOUT => (
            ErrorKind::Unavailable,
            "the server has ended the session, which it had not heard of for its TTL",
        ),
        code::READ_ONLY => (
            ErrorKind::Misconfigured,
            "the server, or this role, is read-only; connect to the primary, and leave `default_transaction_read_only` off",
        ),
        code::UNDEFINED_DATABASE => (
            ErrorKind::Misconfigured,
            "there is no database of this name on the server",
        ),
        code::INSUFFICIENT_PRIVILEGE => (
            ErrorKind::Unauthorized,
            "the rights of this role do not suffice",
        ),
        _ => match code.get(..2) {
            Some("08" | "53" | "57" | "58") => {
                (ErrorKind::Unavailable, "the server cannot serve now")
            }
            Some("28") => (
                ErrorKind::Unauthorized,
                "the server does not let this role in: by its name and password, or from where and how \
                 it connects",
            ),
            _ => (ErrorKind::Unexpected, "the server refused"),
        },
    }
}

fn of_client(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::Io(error) if is_of_tls(error) => INSECURE,
        sqlx::Error::Tls(_) => INSECURE,
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => (
            ErrorKind::Unavailable,
            "the server cannot be reached, or the connection to it has ended",
        ),
        sqlx::Error::Configuration(_) => (
            ErrorKind::Misconfigured,
            "the connection options cannot be used",
        ),
        _ => (ErrorKind::Unexpected, "the database client failed"),
    }
}

const INSECURE: (ErrorKind, &str) = (
    ErrorKind::Misconfigured,
    "no secure connection to the server can be made; see that it has TLS, that this program trusts \
     its certificate, and that the cargo feature for TLS is on",
);

/// Whether a certificate, or another part of TLS, is what fails.
#[cfg(feature = "tls")]
fn is_of_tls(error: &std::io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(|cause| cause.is::<rustls::Error>())
}

#[cfg(not(feature = "tls"))]
fn is_of_tls(_error: &std::io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_kind_that_tells_what_to_do() {
        for (code, kind) in [
            ("53300", ErrorKind::Unavailable),
            ("53200", ErrorKind::Unavailable),
            ("57014", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable), // admin_shutdown
            ("57P03", ErrorKind::Unavailable), // cannot_connect_now
            ("57P05", ErrorKind::Unavailable),
            ("08006", ErrorKind::Unavailable), // connection_failure
            ("28P01", ErrorKind::Unauthorized), // invalid_password
            ("42501", ErrorKind::Unauthorized),
            ("3D000", ErrorKind::Misconfigured),
            ("25006", ErrorKind::Misconfigured),
            ("42601", ErrorKind::Unexpected), // syntax_error
        ] {
            assert_eq!(of_code(code).0, kind, "{code}");
        }
        assert_eq!(of(sqlx::Error::PoolTimedOut).kind(), ErrorKind::Unavailable);
        assert_eq!(of(sqlx::Error::RowNotFound).kind(), ErrorKind::Unexpected);
    }
}
