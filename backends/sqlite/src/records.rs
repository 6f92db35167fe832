//! What is asked of SQLite, for many names at once.

use std::collections::{HashMap, HashSet};

use distlock_core::queue::LockQueue;
use distlock_core::{Error, ErrorKind, Name, Result};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::error::{self, Failure};

/// A record as it stands, and the greatest number ever given in this file.
pub(crate) struct Loaded {
    pub(crate) record: Option<(LockQueue, u64)>,
    pub(crate) highest: u64,
}

/// A record as it is to be, if it has this version now.
pub(crate) struct Change {
    pub(crate) name: Name,
    pub(crate) expected: Option<u64>,
    pub(crate) queue: LockQueue,
}

/// The changes that were made, and the version that their records have now.
pub(crate) struct Swapped {
    pub(crate) names: HashSet<Name>,
    pub(crate) version: u64,
}

/// The records of these names, in their order. A record that is damaged is an error of its own.
pub(crate) async fn load<'a>(
    connection: &mut SqliteConnection,
    names: impl Iterator<Item = &'a Name>,
) -> Result<Vec<Result<Loaded>>, Failure> {
    let rows = sqlx::query(
        "SELECT record.version, record.queue, store.highest
         FROM json_each(?1) AS wanted, store
         LEFT JOIN record
         ON record.namespace = wanted.value ->> 0 AND record.name = wanted.value ->> 1
         ORDER BY wanted.key",
    )
    .bind(keys(names))
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(loaded).collect())
}

/// Makes these changes of different names, each if its version is the one expected, in one
/// transaction.
pub(crate) async fn swap<'a>(
    connection: &mut SqliteConnection,
    changes: impl Iterator<Item = &'a Change> + Clone,
) -> Result<Swapped, Failure> {
    let highest = changes.clone().map(|change| change.queue.last()).max();
    let rows: Vec<Value> = changes.map(row_of).collect();
    let result = sqlx::query(
        "BEGIN IMMEDIATE;
         UPDATE store SET swaps = swaps + 1, highest = max(highest, ?1);
         INSERT INTO record (namespace, name, version, boot, keep_until, queue)
         SELECT value ->> 0, value ->> 1, store.swaps, store.boot, value ->> 3, value ->> 4
         FROM json_each(?2), store
         WHERE (SELECT version FROM record WHERE namespace = value ->> 0 AND name = value ->> 1)
               IS (value ->> 2)
         ON CONFLICT (namespace, name) DO UPDATE
         SET version = excluded.version, boot = excluded.boot,
             keep_until = excluded.keep_until, queue = excluded.queue
         RETURNING namespace, name, version;
         COMMIT",
    )
    .bind(i64::try_from(highest.unwrap_or(0)).unwrap_or(i64::MAX))
    .bind(json!(rows).to_string())
    .fetch_all(&mut *connection)
    .await;
    if result.is_err() {
        // The transaction may still be open. If this fails as well, so will the next that begins
        // one, with an error that says why.
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    let mut swapped = Swapped {
        names: HashSet::new(),
        version: 0,
    };
    for row in result? {
        let (namespace, name): (String, String) = (row.try_get("namespace")?, row.try_get("name")?);
        swapped.version = unsigned(row.try_get("version")?)?;
        swapped.names.insert(Name::in_namespace(namespace, name)?);
    }
    Ok(swapped)
}

/// The versions of those of these names that have a record.
pub(crate) async fn versions(
    connection: &mut SqliteConnection,
    names: &[Name],
) -> Result<HashMap<Name, u64>> {
    let rows = sqlx::query(
        "SELECT wanted.key, record.version
         FROM json_each(?1) AS wanted
         JOIN record
         ON record.namespace = wanted.value ->> 0 AND record.name = wanted.value ->> 1",
    )
    .bind(keys(names.iter()))
    .fetch_all(connection)
    .await
    .map_err(error::of)?;
    let mut versions = HashMap::new();
    for row in rows {
        let at = unsigned(row.try_get("key").map_err(error::of)?)?;
        let version = unsigned(row.try_get("version").map_err(error::of)?)?;
        let name = usize::try_from(at).ok().and_then(|at| names.get(at));
        versions.extend(name.map(|name| (name.clone(), version)));
    }
    Ok(versions)
}

/// A number that is another whenever another connection has committed.
pub(crate) async fn data_version(connection: &mut SqliteConnection) -> Result<i64> {
    let version = sqlx::query_scalar("PRAGMA data_version")
        .fetch_one(connection)
        .await;
    version.map_err(error::of)
}

fn keys<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let keys: Vec<Value> = names
        .map(|name| json!([name.namespace(), name.as_str()]))
        .collect();
    json!(keys).to_string()
}

fn row_of(
    Change {
        name,
        expected,
        queue,
    }: &Change,
) -> Value {
    json!([
        name.namespace(),
        name.as_str(),
        expected,
        queue.keep_until(),
        queue.to_json()
    ])
}

fn loaded(row: &SqliteRow) -> Result<Loaded> {
    let version: Option<i64> = row.try_get("version").map_err(error::of)?;
    // As bytes: what somebody else has written there need not be text.
    let queue: Option<Vec<u8>> = row.try_get("queue").map_err(error::of)?;
    let highest = unsigned(row.try_get("highest").map_err(error::of)?)?;
    let record = match (version, queue) {
        (Some(version), Some(queue)) => Some((LockQueue::from_json(queue)?, unsigned(version)?)),
        _ => None,
    };
    Ok(Loaded { record, highest })
}

fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| {
        Error::new(
            ErrorKind::Unexpected,
            format!("a number in the database is negative: {number}"),
        )
    })
}
