//! What needs another user, or a disk of its own, runs in a process of its own: this test, started
//! again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use distlock_core::{ErrorKind, Loss};

use crate::{TTL, assert_says, locks, refused, works};

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
    again(
        "own_process::a_file_or_folder_that_is_read_only",
        folder.path(),
        command,
    );
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
    again(
        "own_process::a_path_that_looks_like_a_url",
        folder.path(),
        command,
    );
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
        let elsewhere = tokio::task::spawn_blocking(move || {
            again("own_process::a_time_namespace", &path, command);
        });
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
    again("own_process::a_disk_that_is_full", folder.path(), command);
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
