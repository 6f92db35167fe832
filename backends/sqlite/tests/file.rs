//! What can be wrong with the file: each fault has a clear error, loses nothing, and leaves a store
//! that works again once its cause is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::task::{Context, Poll, Waker};
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
    locks(file)
        .await
        .lock("x")
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

/// A reboot frees what was held, and numbers go on from the greatest, even with the wall clock
/// behind it.
#[tokio::test]
async fn a_reboot() {
    let (_folder, file) = folder();
    let before = locks(&file)
        .await
        .lock("x")
        .ttl(Duration::from_secs(3600))
        .acquire()
        .await
        .unwrap();
    let year_3000 = 32_503_680_000_000_000_u64 / 8;
    let mut connection = operator(&file).await;
    sqlx::query("UPDATE store SET highest = ?")
        .bind(year_3000 as i64)
        .execute(&mut connection)
        .await
        .unwrap();
    sql(
        &file,
        "UPDATE store SET boot = 'the one before'; UPDATE record SET boot = 'the one before'",
    )
    .await;
    let after = locks(&file)
        .await
        .lock("x")
        .acquire_within(20 * TTL)
        .await
        .unwrap();
    assert!(after.token() > before.token());
    assert!(
        after.token().number() > year_3000,
        "the clock is not what numbers rest on alone"
    );
}

/// Records that nobody needs any more go; the greatest number stays.
#[tokio::test]
async fn records_are_forgotten_and_numbers_are_not() {
    let (_folder, file) = folder();
    works(&file).await;
    sql(
        &file,
        "UPDATE record SET keep_until = 1; UPDATE store SET highest = 4000000000000000",
    )
    .await;
    let locks = locks(&file).await;
    let mut connection = operator(&file).await;
    let records: i64 = sqlx::query_scalar("SELECT count(*) FROM record")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(records, 0);
    let guard = locks.lock("x").acquire().await.unwrap();
    assert!(guard.token().number() > 4_000_000_000_000_000);
}

#[tokio::test]
async fn a_damaged_record_is_told_and_left_alone() {
    let (_folder, file) = folder();
    works(&file).await;
    sql(
        &file,
        "UPDATE record SET queue = '{\"version\":1,\"owner\":\"somebody else\"}'",
    )
    .await;
    let locks = locks(&file).await;
    let error = locks.lock("x").acquire().await.unwrap_err();
    assert_says(&error, ErrorKind::Unexpected, "damaged");
    assert!(locks.inspect("x").await.is_err());
    let mut connection = operator(&file).await;
    let queue: String = sqlx::query_scalar("SELECT queue FROM record")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(queue.contains("somebody else"), "nothing was overwritten");
    locks
        .lock("another")
        .acquire()
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
    sql(&file, "DELETE FROM record").await;
    locks
        .lock("x")
        .acquire()
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
}

/// Somebody else's transaction, held for long: nobody is granted meanwhile, holds end by the clock
/// and say so, and all goes on when it ends.
#[tokio::test]
async fn a_database_locked_by_someone_else() {
    let (_folder, file) = folder();
    let locks = locks(&file).await;
    let held = locks.lock("held").acquire().await.unwrap();

    let mut hog = operator(&file).await;
    let transaction = hog.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = locks.lock("x").try_acquire().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(held.lost().await, Loss::Expired);
    let limited = locks.lock("x").acquire_within(TTL / 2).await.unwrap_err();
    assert_eq!(limited.kind(), ErrorKind::TimedOut);
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

// What needs another user, or a disk of its own, runs in a process of its own: this test, started
// again.

/// Set in that process: the folder to work in.
const AGAIN: &str = "DISTLOCK_TEST_FOLDER";

/// Runs this test again, in that folder, behind this command.
fn again(test: &str, folder: &Path, mut command: Command) {
    let status = command
        .args(["--exact", test, "--nocapture"])
        .env(AGAIN, folder)
        .status();
    let status = status.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// This test, in namespaces of its own. Who is not the superuser becomes it in there.
fn unshare(namespaces: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(namespaces);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.arg(std::env::current_exe().unwrap());
    command
}

fn given_folder() -> Option<PathBuf> {
    std::env::var_os(AGAIN).map(PathBuf::from)
}

fn is_root() -> bool {
    let me = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&me.stdout).trim() == "0"
}

/// A user who may read the file but not write it, or not its folder. The superuser may write
/// everything, so for them this runs as nobody.
#[test]
fn a_file_or_folder_that_is_read_only() {
    if let Some(folder) = given_folder() {
        return runtime().block_on(open_read_only(&folder));
    }
    let nobody = 65534;
    let folder = tempfile::tempdir().unwrap();
    let readable = fs::Permissions::from_mode(0o755);
    let file = folder.path().join("locks.db");
    runtime().block_on(works(&file));
    fs::create_dir(folder.path().join("sealed")).unwrap();
    fs::set_permissions(folder.path(), readable.clone()).unwrap();
    // The test may live where nobody can reach it.
    let myself = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &myself).unwrap();
    fs::set_permissions(&myself, readable).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(
        folder.path().join("sealed"),
        fs::Permissions::from_mode(0o555),
    )
    .unwrap();
    let mut command = Command::new(&myself);
    if is_root() {
        command.uid(nobody).gid(nobody);
    }
    again("a_file_or_folder_that_is_read_only", folder.path(), command);
    runtime().block_on(works(&file));
}

async fn open_read_only(folder: &Path) {
    assert_says(
        &refused(folder.join("locks.db")).await,
        ErrorKind::Unauthorized,
        "cannot be",
    );
    assert_says(
        &refused(folder.join("sealed/locks.db")).await,
        ErrorKind::Unauthorized,
        "cannot be",
    );
}

/// SQLite would take such a path for a URL, and this one for a database in memory, another for each
/// client.
#[test]
fn a_path_that_looks_like_a_url() {
    if let Some(folder) = given_folder() {
        return runtime().block_on(async {
            let file = Path::new("file:locks.db?mode=memory");
            let (one, other) = (locks(file).await, locks(file).await);
            let guard = one.lock("x").acquire().await.unwrap();
            assert!(other.lock("x").try_acquire().await.unwrap().is_none());
            assert!(folder.join(file).exists());
            guard.release().await.unwrap();
        });
    }
    // The path is a relative one, and the working directory belongs to the whole process.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.current_dir(folder.path());
    again("a_path_that_looks_like_a_url", folder.path(), command);
}

/// A process whose clock is ahead, in a time namespace of its own on the same machine: what is held
/// here is held there.
#[test]
fn a_time_namespace() {
    if let Some(folder) = given_folder() {
        return runtime().block_on(async {
            let locks = locks(&folder.join("locks.db")).await;
            let tried = locks.lock("x").try_acquire().await.unwrap();
            assert!(tried.is_none(), "granted a second time");
            drop(locks.lock("y").acquire().await.unwrap());
            locks.settle().await;
        });
    }
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let guard = locks(&folder.path().join("locks.db"))
            .await
            .lock("x")
            .acquire()
            .await
            .unwrap();
        let command = unshare(&["--fork", "--time", "--boottime", "100000"]);
        let path = folder.path().to_owned();
        let elsewhere =
            tokio::task::spawn_blocking(move || again("a_time_namespace", &path, command));
        elsewhere.await.unwrap();
        assert!(guard.is_held());
    });
}

/// A disk that is full, really: a file system of one mebibyte in a mount namespace of its own.
#[test]
fn a_disk_that_is_full() {
    if let Some(folder) = given_folder() {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&folder)
            .status();
        assert!(mount.unwrap().success());
        return runtime().block_on(fill_the_disk(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let command = unshare(&["--mount"]);
    again("a_disk_that_is_full", folder.path(), command);
}

async fn fill_the_disk(folder: &Path) {
    let file = folder.join("locks.db");
    let locks = locks(&file).await;
    let held = locks.lock("held").acquire().await.unwrap();
    let filler = folder.join("filler");
    let mut size = 2 << 20;
    while size > 0 {
        // As much as there is room for, to the last byte.
        let chunk = vec![0; size];
        let written = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&filler);
        if std::io::Write::write_all(&mut written.unwrap(), &chunk).is_err() {
            size /= 2;
        }
    }
    let full = loop {
        match locks.lock("x").try_acquire().await {
            Ok(guard) => guard
                .expect("nobody else is here")
                .release()
                .await
                .unwrap_or_default(),
            Err(error) => break error,
        }
    };
    assert_says(&full, ErrorKind::Unavailable, "disk is full");
    assert_eq!(
        held.lost().await,
        Loss::Expired,
        "a hold that cannot be renewed ends, and says so"
    );
    assert!(locks.inspect("held").await.is_ok(), "reading goes on");

    fs::remove_file(filler).unwrap();
    let again = locks.lock("held").acquire_within(20 * TTL).await.unwrap();
    assert!(again.token() > held.token());
    again.release().await.unwrap();
    works(&file).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}
