//! The file: how it is opened, what is in it, and whether it is ours.

use std::path::Path;
use std::time::Duration;

use distlock_core::queue::StoreTime;
use distlock_core::{Error, ErrorKind, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use crate::connection::BATCH;
use crate::error::{self, Failure};
use crate::machine::Machine;

/// Marks a file as one of this library: `dlck`.
const APPLICATION_ID: i64 = 0x646c_636b;
const SCHEMA_VERSION: i64 = 1;

/// For how long SQLite itself waits for another program's transaction. Its pauses grow with the
/// time it has waited, up to 100 ms: whoever has waited long would lose to those who have just
/// come. So it is let wait for its first ones alone (1, 2 and 5 ms), over and over.
const PAUSES: Duration = Duration::from_millis(8);
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
        .busy_timeout(PAUSES)
        // All that one statement gives back has room: a transaction ends without waiting for our
        // runtime to take what it gave.
        .row_buffer_size(BATCH + 8)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let began = tokio::time::Instant::now();
    loop {
        match prepare(&options, machine).await {
            Err(failure) if failure.is_busy() && began.elapsed() < OPEN_WITHIN => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(failure) => return Err(failure.into()),
            Ok(connection) => return Ok(connection),
        }
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
    let is_new = is_new(&mut connection).await?;
    sqlx::raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut connection)
        .await?;
    if is_new {
        make(&mut connection, machine).await?;
    }
    claim(&mut connection, machine).await?;
    while forget_some(&mut connection, machine).await? {}
    Ok(connection)
}

/// Puts our tables into an empty file.
async fn make(connection: &mut SqliteConnection, machine: &Machine) -> Result<(), Failure> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Another may have been faster.
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
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether the file is empty; an error if it is not this library's, or not of this version.
async fn is_new(connection: &mut SqliteConnection) -> Result<bool, Failure> {
    // As one query, so that a file which another is just making is seen empty or made.
    let (application, version, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(connection)
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

/// Checks that the file is this machine's, and that it can be written. After a reboot, notes the
/// new boot; no record of the old one holds anything, and the greatest number is kept apart from
/// them.
///
/// Not in one transaction: whoever opens the file while its runtime has other things to do would
/// keep all others from writing meanwhile.
async fn claim(connection: &mut SqliteConnection, machine: &Machine) -> Result<(), Failure> {
    let row = sqlx::query("SELECT machine, boot FROM store")
        .fetch_one(&mut *connection)
        .await?;
    let remembered = Machine {
        id: row.try_get("machine")?,
        boot: row.try_get("boot")?,
    };
    machine.may_use_file_of(&remembered)?;
    sqlx::query("UPDATE store SET boot = ?1 WHERE boot <> ?1")
        .bind(&machine.boot)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes some of the records that nobody can stand in any more, so few that nobody waits for long
/// to write. Whether there were any.
pub(crate) async fn forget_some(
    connection: &mut SqliteConnection,
    machine: &Machine,
) -> Result<bool, Failure> {
    const AT_ONCE: i64 = 256;
    let now = i64::try_from(StoreTime::since_boot()?.micros()).unwrap_or(i64::MAX);
    // Looked for apart, since that takes long where there are many records, and others can write
    // meanwhile.
    let found: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(namespace, name))
         FROM (SELECT * FROM record WHERE boot <> ?1 OR keep_until < ?2 LIMIT ?3)",
    )
    .bind(&machine.boot)
    .bind(now)
    .bind(AT_ONCE)
    .fetch_one(&mut *connection)
    .await?;
    if found == "[]" {
        return Ok(false);
    }
    sqlx::query(
        "DELETE FROM record
         WHERE (namespace, name) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?3))
         AND (boot <> ?1 OR keep_until < ?2)",
    )
    .bind(&machine.boot)
    .bind(now)
    .bind(found)
    .execute(connection)
    .await?;
    Ok(true)
}
