//! The file: how it is opened, what is in it, and whether it is ours.

use std::path::Path;
use std::time::Duration;

use distlock_core::queue::StoreTime;
use distlock_core::{Error, ErrorKind, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use crate::error;
use crate::machine::Machine;

/// Marks a file as one of this library: `dlck`.
const APPLICATION_ID: i64 = 0x646c_636b;
const SCHEMA_VERSION: i64 = 1;

/// For how long SQLite itself waits for another program's transaction.
const BUSY: Duration = Duration::from_secs(1);
/// For how long opening goes on while others are in the way: making the file takes locks that
/// cannot be waited for.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    machine TEXT,
    boot TEXT NOT NULL,
    highest INTEGER NOT NULL, -- the greatest number ever given to a grant; outlives all records
    swaps INTEGER NOT NULL    -- how many transactions changed records: the next version of a record
) STRICT;
CREATE TABLE record (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    boot TEXT NOT NULL,
    keep_until INTEGER NOT NULL, -- microseconds since that boot
    queue TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
";

/// Opens the file, makes it if there is none, and checks that it may be used from this machine.
pub(crate) async fn open(path: &Path, machine: &Machine) -> Result<SqliteConnection> {
    check_path(path)?;
    // SQLite takes a path that begins with `file:` for a URL, whose options can undo its locking.
    let path = std::path::absolute(path).map_err(|error| error::of(sqlx::Error::Io(error)))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let began = tokio::time::Instant::now();
    loop {
        match prepare(&options, machine).await {
            Err(Failure::Sqlite(error))
                if error::is_busy(&error) && began.elapsed() < OPEN_WITHIN =>
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(Failure::Sqlite(error)) => return Err(error::of(error)),
            Err(Failure::Refused(error)) => return Err(error),
            Ok(connection) => return Ok(connection),
        }
    }
}

/// Why a file cannot be used: SQLite failed, perhaps only for now, or it is not to be used.
pub(crate) enum Failure {
    Sqlite(sqlx::Error),
    Refused(Error),
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

fn check_path(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a path to a file is needed; for locks within one process use the memory store",
        ));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "the folder `{}` does not exist; make it first",
                folder.display()
            ),
        ));
    }
    if path.is_dir() {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!("`{}` is a folder; give the path of a file", path.display()),
        ));
    }
    Ok(())
}

async fn prepare(
    options: &SqliteConnectOptions,
    machine: &Machine,
) -> Result<SqliteConnection, Failure> {
    let mut connection = options.connect().await?;
    // Before anything is changed: the pragma would, for good, also in a file that is not ours.
    // Within a transaction, so that a file which another is just making is seen empty or made.
    let mut glance = connection.begin().await?;
    is_new(&mut glance).await?;
    glance.rollback().await?;
    sqlx::raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut connection)
        .await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if is_new(&mut transaction).await? {
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO store VALUES (1, ?, ?, 0, 0)")
            .bind(&machine.id)
            .bind(&machine.boot)
            .execute(&mut *transaction)
            .await?;
        // Pragmas take no parameters.
        sqlx::raw_sql("PRAGMA application_id = 0x646c636b; PRAGMA user_version = 1")
            .execute(&mut *transaction)
            .await?;
    } else {
        claim(&mut transaction, machine).await?;
    }
    transaction.commit().await?;
    Ok(connection)
}

/// Whether the file is empty; an error if it is not this library's, or not of this version.
async fn is_new(connection: &mut SqliteConnection) -> Result<bool, Failure> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await?;
    let misconfigured = |message: String| Err(Error::new(ErrorKind::Misconfigured, message).into());
    match (application, version) {
        (0, 0) if tables == 0 => Ok(true),
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(false),
        (APPLICATION_ID, version) => misconfigured(format!(
            "the file has schema version {version} and this library knows version {SCHEMA_VERSION}; use one version of the \
             library in all programs that share the file"
        )),
        _ => misconfigured(
            "the database belongs to another application; give the locks a file of their own"
                .to_owned(),
        ),
    }
}

/// Checks that the file is this machine's. After a reboot, notes the new boot; no record of the old
/// one holds anything, and the greatest number is kept apart from them.
async fn claim(connection: &mut SqliteConnection, machine: &Machine) -> Result<(), Failure> {
    let row = sqlx::query("SELECT machine, boot FROM store")
        .fetch_one(&mut *connection)
        .await?;
    let remembered = Machine {
        id: row.try_get("machine")?,
        boot: row.try_get("boot")?,
    };
    machine.may_use_file_of(&remembered)?;
    if remembered.boot != machine.boot {
        sqlx::query("UPDATE store SET boot = ?")
            .bind(&machine.boot)
            .execute(&mut *connection)
            .await?;
    }
    forget_records(connection, machine).await?;
    Ok(())
}

/// Deletes the records that nobody can stand in any more.
pub(crate) async fn forget_records(
    connection: &mut SqliteConnection,
    machine: &Machine,
) -> Result<(), Failure> {
    let now = i64::try_from(StoreTime::since_boot()?.micros()).unwrap_or(i64::MAX);
    sqlx::query("DELETE FROM record WHERE boot <> ?1 OR keep_until < ?2")
        .bind(&machine.boot)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
