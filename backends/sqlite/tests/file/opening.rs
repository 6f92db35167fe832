//! Which files are taken, and which are not.

use std::fs;
use std::task::{Context, Poll, Waker};

use distlock_core::ErrorKind;
use distlock_sqlite::SqliteBackend;

use crate::{assert_says, folder, refused, sql, works};

#[tokio::test]
async fn a_missing_folder() {
    let (folder, _) = folder();
    let file = folder.path().join("missing/locks.db");
    assert_says(
        &refused(&file).await,
        ErrorKind::Misconfigured,
        "does not exist",
    );
    fs::create_dir(folder.path().join("missing")).unwrap();
    works(&file).await;
}

#[test]
fn outside_of_a_runtime() {
    let (_folder, file) = folder();
    let mut opening = Box::pin(SqliteBackend::open(file));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = opening.as_mut().poll(&mut context) else {
        panic!("it cannot be opened without one");
    };
    assert_says(&error, ErrorKind::Misconfigured, "tokio runtime");
}

#[tokio::test]
async fn a_path_that_is_none() {
    assert_says(&refused("").await, ErrorKind::InvalidInput, "memory store");
    assert_says(
        &refused(":memory:").await,
        ErrorKind::InvalidInput,
        "memory store",
    );
    let (folder, _) = folder();
    assert_says(
        &refused(folder.path()).await,
        ErrorKind::Misconfigured,
        "is a folder",
    );
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let (_folder, file) = folder();
    let text = "Dear diary, ".repeat(100);
    fs::write(&file, &text).unwrap();
    assert_says(
        &refused(&file).await,
        ErrorKind::Misconfigured,
        "not a SQLite database",
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "it is untouched");
    fs::remove_file(&file).unwrap();
    works(&file).await;
}

#[tokio::test]
async fn a_database_of_another_application() {
    let (_folder, file) = folder();
    sql(&file, "CREATE TABLE customer (name TEXT)").await;
    let before = fs::read(&file).unwrap();
    assert_says(
        &refused(&file).await,
        ErrorKind::Misconfigured,
        "another application",
    );
    assert_eq!(fs::read(&file).unwrap(), before, "it is untouched");
    sql(
        &file,
        "INSERT INTO customer VALUES ('still there'); DROP TABLE customer",
    )
    .await;
    works(&file).await;
}

#[tokio::test]
async fn a_schema_of_a_newer_version() {
    let (_folder, file) = folder();
    works(&file).await;
    sql(&file, "PRAGMA user_version = 2").await;
    assert_says(
        &refused(&file).await,
        ErrorKind::Misconfigured,
        "schema version 2",
    );
    sql(&file, "PRAGMA user_version = 1").await;
    works(&file).await;
}

#[tokio::test]
async fn a_file_of_another_machine() {
    let (_folder, file) = folder();
    works(&file).await;
    sql(
        &file,
        "UPDATE store SET machine = 'elsewhere', boot = 'another'",
    )
    .await;
    assert_says(
        &refused(&file).await,
        ErrorKind::Misconfigured,
        "the machine `elsewhere`",
    );
    assert!(
        SqliteBackend::options()
            .machine("elsewhere")
            .open(&file)
            .await
            .is_ok(),
        "its user knows better"
    );
}
