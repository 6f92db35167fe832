//! What can be wrong with the file: each fault has a clear error, loses nothing, and leaves a store
//! that works again once its cause is gone.

mod busy;
mod opening;
mod own_process;
mod records;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use distlock_core::{Error, ErrorKind, Locks, Loss};
use distlock_sqlite::SqliteBackend;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

const TTL: Duration = Duration::from_millis(900);

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locks.db");
    (folder, file)
}

async fn locks(file: &Path) -> Locks {
    Locks::builder()
        .ttl(TTL)
        .build(SqliteBackend::open(file).await.unwrap())
        .unwrap()
}

async fn works(file: &Path) {
    works_on(file, "x").await;
}

async fn works_on(file: &Path, name: &str) {
    locks(file)
        .await
        .lock(name)
        .acquire_within(20 * TTL)
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
}

async fn refused(file: impl AsRef<Path>) -> Error {
    SqliteBackend::open(file)
        .await
        .expect_err("this file is not to be used")
}

/// The file as any other program sees it.
async fn operator(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
}

async fn sql(file: &Path, statement: &'static str) {
    let mut connection = operator(file).await;
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[track_caller]
fn assert_says(error: &Error, kind: ErrorKind, what: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(what), "{error}");
}

/// Somebody else's transaction, held for long: nobody is granted meanwhile, holds end by the clock
/// and say so, reading goes on, and so does all when it ends.
#[tokio::test]
async fn a_database_locked_by_someone_else() {
    let (_folder, file) = folder();
    let backend = Arc::new(SqliteBackend::open(&file).await.unwrap());
    let [locks, reader] = [TTL, 4 * TTL].map(|ttl| {
        let builder = Locks::builder().ttl(ttl);
        builder.build(Arc::clone(&backend)).unwrap()
    });
    let held = locks.lock("held").acquire().await.unwrap();

    let mut hog = operator(&file).await;
    let transaction = hog.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = locks.lock("x").try_acquire().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let acquiring = tokio::spawn(locks.lock("x").acquire_within(TTL / 2));
    for _ in 0..10 {
        reader.inspect("held").await.expect("reading goes on");
    }
    let limited = acquiring.await.unwrap().unwrap_err();
    assert_eq!(limited.kind(), ErrorKind::TimedOut);
    assert_eq!(held.lost().await, Loss::Expired);
    transaction.rollback().await.unwrap();

    let guard = locks.lock("x").acquire_within(20 * TTL).await.unwrap();
    let again = locks.lock("held").acquire_within(20 * TTL).await.unwrap();
    assert!(again.token() > held.token());
    guard.release().await.unwrap();
    locks.settle().await;
}

/// Many that open a file that is not there yet, at once, all get the same store.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opened_by_many_at_once() {
    let (_folder, file) = folder();
    let mut openings = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let file = file.clone();
        openings.spawn(async move {
            let locks = locks(&file).await;
            let held = locks.lock("x").try_acquire().await.unwrap();
            (locks, held)
        });
    }
    let opened = openings.join_all().await;
    assert_eq!(opened.iter().filter(|(_, held)| held.is_some()).count(), 1);
}
