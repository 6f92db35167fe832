//! ZooKeeper's errors, sorted by what the caller can do.

use distlock_core::{Error, ErrorKind};
use zookeeper_client::Error as ZooKeeper;

/// What the server, or the way to it, says.
pub(crate) fn of(error: ZooKeeper) -> Error {
    let (kind, message) = told(&error);
    Error::new(kind, message).with_source(error)
}

/// The session is not there to stand under any more.
pub(crate) fn over() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session of this claim has ended; asking again opens another",
    )
}

/// A claim has not had its turn to ask.
pub(crate) fn busy() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "so many claims of this client ask at a time that this one has not had its turn",
    )
}

/// Whether it is for the connection that this failed. A client that was stopped for a while finds
/// the one it has given up, and the next as good, so this is no reason to wait before asking again.
pub(crate) fn is_broken_connection(error: &ZooKeeper) -> bool {
    matches!(error, ZooKeeper::ConnectionLoss | ZooKeeper::Custom(_))
}

fn told(error: &ZooKeeper) -> (ErrorKind, &'static str) {
    match error {
        ZooKeeper::NoHosts | ZooKeeper::Timeout => (
            ErrorKind::Unavailable,
            "no server of the ensemble lets this client in: none can be reached, none that this \
             program trusts, or none that may write, for want of a quorum",
        ),
        ZooKeeper::ConnectionLoss | ZooKeeper::Custom(_) => (
            ErrorKind::Unavailable,
            "the connection to the server broke; whether it did what was asked is not known",
        ),
        ZooKeeper::SessionExpired | ZooKeeper::SessionMoved | ZooKeeper::ClientClosed => (
            ErrorKind::Unavailable,
            "the session with the server has ended",
        ),
        ZooKeeper::Throttled => (ErrorKind::Unavailable, "the server is busy"),
        ZooKeeper::NotReadOnly => (
            ErrorKind::Unavailable,
            "the server is read-only, since it has no quorum; locks take one that may write",
        ),
        ZooKeeper::AuthFailed => (
            ErrorKind::Unauthorized,
            "the server refused the user or the password",
        ),
        ZooKeeper::NoAuth => (
            ErrorKind::Unauthorized,
            "this user may not do what locks take here; give it the rights to read, write, create \
             and delete below the path of the URL, or use another namespace",
        ),
        ZooKeeper::InvalidAcl => (
            ErrorKind::Unauthorized,
            "the server takes no node of a user that it does not know; give a user and a password",
        ),
        ZooKeeper::QuotaExceeded => (
            ErrorKind::Unavailable,
            "the quota of this path is used up: the locks that are held are kept, and no new ones \
             taken",
        ),
        ZooKeeper::BadArguments(_) => (
            ErrorKind::InvalidInput,
            "the client cannot be used as it is set up",
        ),
        ZooKeeper::NoNode | ZooKeeper::NoChildrenForEphemerals => (
            ErrorKind::Unexpected,
            "a node of this lock is not what locks make it",
        ),
        // Whoever asks a client whose runtime has ended is told so, of all things.
        ZooKeeper::UnexpectedError(_) => (
            ErrorKind::Unavailable,
            "the connection is not usable any more",
        ),
        _ => (ErrorKind::Unexpected, "the server refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_the_kind_that_tells_what_to_do() {
        for (error, kind) in [
            (ZooKeeper::NoHosts, ErrorKind::Unavailable),
            (ZooKeeper::Timeout, ErrorKind::Unavailable),
            (ZooKeeper::ConnectionLoss, ErrorKind::Unavailable),
            (ZooKeeper::SessionExpired, ErrorKind::Unavailable),
            (ZooKeeper::SessionMoved, ErrorKind::Unavailable),
            (ZooKeeper::ClientClosed, ErrorKind::Unavailable),
            (ZooKeeper::Throttled, ErrorKind::Unavailable),
            (ZooKeeper::NotReadOnly, ErrorKind::Unavailable),
            (ZooKeeper::QuotaExceeded, ErrorKind::Unavailable),
            (
                ZooKeeper::UnexpectedError(String::new()),
                ErrorKind::Unavailable,
            ),
            (ZooKeeper::AuthFailed, ErrorKind::Unauthorized),
            (ZooKeeper::NoAuth, ErrorKind::Unauthorized),
            (ZooKeeper::InvalidAcl, ErrorKind::Unauthorized),
            (ZooKeeper::BadArguments(&"path"), ErrorKind::InvalidInput),
            (ZooKeeper::NoChildrenForEphemerals, ErrorKind::Unexpected),
            (ZooKeeper::MarshallingError, ErrorKind::Unexpected),
        ] {
            assert_eq!(of(error.clone()).kind(), kind, "{error}");
        }
    }
}
