//! etcd's errors, sorted by what the caller can do.

use std::error::Error as StdError;
use std::io;

use distlock_core::{Error, ErrorKind};
use etcd_client::Error as Etcd;

/// What the server, or the way to it, says.
pub(crate) fn of(error: Etcd) -> Error {
    let (kind, message) = told(&error);
    // The client's own text holds that of the status, and nothing of users and passwords.
    Error::new(kind, message).with_source(error)
}

/// A connection that is served no more.
pub(crate) fn unserved() -> Error {
    of(Etcd::IoError(io::ErrorKind::NotConnected.into()))
}

/// An answer that no server gives.
pub(crate) fn strange(what: &str) -> Error {
    Error::new(ErrorKind::Unexpected, format!("the server answered {what}"))
}

pub(crate) fn unavailable(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

/// Whether the server says that there is no such lease.
pub(crate) fn is_of_no_lease(error: &Error) -> bool {
    etcd(error).is_some_and(is_no_lease)
}

/// The same, of what the client tells.
pub(crate) fn is_no_lease(error: &Etcd) -> bool {
    match error {
        Etcd::GRpcStatus(status) => status.message().contains("requested lease not found"),
        Etcd::LeaseKeepAliveError(text) => text == "lease not found",
        _ => false,
    }
}

/// Whether another connection may do better.
pub(crate) fn is_of_connection(error: &Error) -> bool {
    let is_of_load = status(error).is_some_and(|(code, _)| code == RESOURCE_EXHAUSTED);
    !is_of_load && etcd(error).is_some_and(|error| told(error).0 == ErrorKind::Unavailable)
}

/// Whether the server has done nothing of what was asked, and may do a part of it.
pub(crate) fn is_refusal(error: &Error) -> bool {
    status(error).is_some_and(|(code, text)| match code {
        INVALID_ARGUMENT | NOT_FOUND | PERMISSION_DENIED => text.starts_with("etcdserver: "),
        RESOURCE_EXHAUSTED => text.contains("space exceeded") || is_too_much(text),
        _ => false,
    })
}

/// Whether the server has done nothing of what was asked, since that is too much at once.
pub(crate) fn is_of_size(error: &Error) -> bool {
    status(error).is_some_and(|(_, text)| is_too_much(text))
}

fn is_too_much(text: &str) -> bool {
    let too_much = [
        "too many operations",
        "request is too large",
        "larger than max",
    ];
    too_much.iter().any(|part| text.contains(part))
}

/// What the server said: the code and the text of its status.
fn status(error: &Error) -> Option<(i32, &str)> {
    match etcd(error)? {
        Etcd::GRpcStatus(status) => Some((status.code() as i32, status.message())),
        _ => None,
    }
}

/// What the client told.
fn etcd(error: &Error) -> Option<&Etcd> {
    error.source()?.downcast_ref()
}

fn told(error: &Etcd) -> (ErrorKind, &'static str) {
    if is_of_tls(error) {
        return (
            ErrorKind::Misconfigured,
            "the server and this program do not come to trust each other by TLS",
        );
    }
    match error {
        Etcd::GRpcStatus(status) => of_status(status.code() as i32, status.message()),
        Etcd::InvalidArgs(_) | Etcd::InvalidUri(_) | Etcd::InvalidMetadataValue(_) => (
            ErrorKind::InvalidInput,
            "the servers cannot be named like this",
        ),
        Etcd::TransportError(_) => (
            ErrorKind::Misconfigured,
            "the settings of the connection cannot be used",
        ),
        Etcd::Internal(_) | Etcd::ElectError(_) | Etcd::Utf8Error(_) => {
            (ErrorKind::Unexpected, "the client of etcd failed")
        }
        _ => UNREACHABLE,
    }
}

const UNREACHABLE: (ErrorKind, &str) = (
    ErrorKind::Unavailable,
    "the server cannot be reached, or the connection to it has ended",
);

const REFUSED_USER: (ErrorKind, &str) = (
    ErrorKind::Unauthorized,
    "the server refused the user or the password",
);

// Statuses of gRPC (<https://grpc.io/docs/guides/status-codes/>).
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
/// Too much is asked of the server, or of its disk.
const RESOURCE_EXHAUSTED: i32 = 8;

/// What etcd means by a status.
fn of_status(code: i32, text: &str) -> (ErrorKind, &'static str) {
    const FAILED_PRECONDITION: i32 = 9;
    const OUT_OF_RANGE: i32 = 11;
    const UNIMPLEMENTED: i32 = 12;
    const UNAUTHENTICATED: i32 = 16;
    let says = |part: &str| text.contains(part);
    match code {
        RESOURCE_EXHAUSTED if says("space exceeded") => (
            ErrorKind::Unavailable,
            "the server's database is full: it keeps the locks that are held, and takes no new \
             ones; compact and defragment it, then disarm its alarm",
        ),
        RESOURCE_EXHAUSTED if says("too many requests") => (
            ErrorKind::Unavailable,
            "the server has too much to write, and refuses more",
        ),
        PERMISSION_DENIED => (
            ErrorKind::Unauthorized,
            "this user may not read and write the keys of this lock; give a role of the user the \
             right to: `etcdctl role grant-permission <role> readwrite --prefix=true <namespace>/`",
        ),
        INVALID_ARGUMENT if says("user name is empty") => (
            ErrorKind::Unauthorized,
            "the server lets nobody in without a user and a password",
        ),
        INVALID_ARGUMENT if says("invalid user ID or password") => REFUSED_USER,
        // Somebody has changed users or roles just now.
        INVALID_ARGUMENT if says("auth store is old") => (
            ErrorKind::Unavailable,
            "the server has other users and roles than when this client was let in",
        ),
        UNAUTHENTICATED => REFUSED_USER,
        FAILED_PRECONDITION if says("authentication is not enabled") => (
            ErrorKind::Misconfigured,
            "the server knows no users; leave the user and the password out",
        ),
        UNIMPLEMENTED => (
            ErrorKind::Misconfigured,
            "the server is too old, or none of etcd; locks take etcd 3.4 or newer",
        ),
        INVALID_ARGUMENT | NOT_FOUND | FAILED_PRECONDITION | OUT_OF_RANGE => {
            (ErrorKind::Unexpected, "the server refused")
        }
        _ if says("no leader") || says("leader changed") => (
            ErrorKind::Unavailable,
            "the server has no leader to follow: its cluster may have lost its quorum",
        ),
        _ => UNREACHABLE,
    }
}

/// Whether a certificate, or another part of TLS, is what fails.
#[cfg(feature = "tls")]
fn is_of_tls(error: &Etcd) -> bool {
    let mut causes = std::iter::successors(cause(error), |cause| (*cause).source());
    causes.any(|cause| {
        let failure = cause.downcast_ref::<io::Error>();
        let inner = failure.and_then(io::Error::get_ref);
        cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>())
    })
}

#[cfg(not(feature = "tls"))]
fn is_of_tls(error: &Etcd) -> bool {
    // What is built in cannot fail, what is not is asked for by name.
    cause(error).is_some_and(|cause| cause.to_string().contains("HTTPS"))
}

/// What the client's error does not tell as its source.
fn cause(error: &Etcd) -> Option<&(dyn StdError + 'static)> {
    match error {
        Etcd::GRpcStatus(status) => status.source(),
        Etcd::TransportError(error) => error.source(),
        Etcd::IoError(error) => Some(error),
        _ => None,
    }
}
