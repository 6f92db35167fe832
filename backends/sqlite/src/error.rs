//! SQLite's errors, sorted by what the caller can do.

use distlock_core::{Error, ErrorKind};

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>); the extended code has
/// this in its low byte.
mod code {
    pub(super) const PERM: u32 = 3;
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const IOERR: u32 = 10;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const AUTH: u32 = 23;
    pub(super) const NOTADB: u32 = 26;
    /// An extended code: the file is not the one at its path any more.
    pub(super) const READONLY_DBMOVED: u32 = READONLY | 4 << 8;
}

/// Why something cannot be done: SQLite failed, perhaps only for now, or it is not to be done.
#[derive(Debug)]
pub(crate) enum Failure {
    Sqlite(sqlx::Error),
    Refused(Error),
}

impl Failure {
    /// Whether another connection is in the way, which passes.
    pub(crate) fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        code_of(error).is_some_and(|code| matches!(code & 0xff, code::BUSY | code::LOCKED))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => of(error),
            Failure::Refused(error) => error,
        }
    }
}

/// What SQLite, or the way to it, says.
pub(crate) fn of(error: sqlx::Error) -> Error {
    let (kind, message) = match code_of(&error) {
        Some(code) => of_code(code),
        None => of_client(&error),
    };
    Error::new(kind, message).with_source(error)
}

fn code_of(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn of_code(code: u32) -> (ErrorKind, &'static str) {
    if code == code::READONLY_DBMOVED {
        return (
            ErrorKind::Misconfigured,
            "the database file was moved or deleted while in use; put it back, or restart all that use it",
        );
    }
    match code & 0xff {
        code::BUSY | code::LOCKED => (
            ErrorKind::Unavailable,
            "the database is locked by another program; it should hold no transaction for long",
        ),
        code::FULL => (ErrorKind::Unavailable, "the disk is full; free some space"),
        code::IOERR => (
            ErrorKind::Unavailable,
            "the disk, or the file system, fails",
        ),
        code::READONLY | code::PERM | code::AUTH => (
            ErrorKind::Unauthorized,
            "the database file, or its folder, cannot be written; give this user the right to",
        ),
        code::CANTOPEN => (
            ErrorKind::Unauthorized,
            "the database file cannot be opened or made; this user must be able to write it and its folder",
        ),
        code::NOTADB => (
            ErrorKind::Misconfigured,
            "the file is not a SQLite database; use another path",
        ),
        code::CORRUPT => (
            ErrorKind::Misconfigured,
            "the database file is damaged; restore it, or delete it while nothing uses it",
        ),
        _ => (ErrorKind::Unexpected, "SQLite refused"),
    }
}

fn of_client(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match error {
        sqlx::Error::Io(_) => (
            ErrorKind::Unavailable,
            "the disk, or the file system, fails",
        ),
        sqlx::Error::WorkerCrashed => (
            ErrorKind::Unavailable,
            "the connection to the database has ended",
        ),
        _ => (ErrorKind::Unexpected, "the database client failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_kind_that_tells_what_to_do() {
        for (code, kind) in [
            (5, ErrorKind::Unavailable),      // BUSY
            (517, ErrorKind::Unavailable),    // BUSY_SNAPSHOT
            (261, ErrorKind::Unavailable),    // BUSY_RECOVERY
            (6, ErrorKind::Unavailable),      // LOCKED
            (13, ErrorKind::Unavailable),     // FULL
            (778, ErrorKind::Unavailable),    // IOERR_WRITE
            (8, ErrorKind::Unauthorized),     // READONLY
            (1544, ErrorKind::Unauthorized),  // READONLY_DIRECTORY
            (1032, ErrorKind::Misconfigured), // READONLY_DBMOVED
            (14, ErrorKind::Unauthorized),    // CANTOPEN
            (26, ErrorKind::Misconfigured),   // NOTADB
            (11, ErrorKind::Misconfigured),   // CORRUPT
            (1, ErrorKind::Unexpected),       // ERROR
        ] {
            assert_eq!(of_code(code).0, kind, "{code}");
        }
        assert_eq!(
            of(sqlx::Error::WorkerCrashed).kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(of(sqlx::Error::RowNotFound).kind(), ErrorKind::Unexpected);
    }
}
