//! A suspended machine, emulated: a shim in front of the C library's clock adds an hour to
//! `CLOCK_BOOTTIME` and nothing to `CLOCK_MONOTONIC`, as a suspension does.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use distlock_core::{ErrorKind, Locks, Loss};
use distlock_memory::MemoryBackend;

/// Set in the process that runs behind the shim: the file whose existence means that the machine
/// was suspended.
const SUSPENDED: &str = "DISTLOCK_TEST_SUSPENDED";

/// P4, P5: a hold does not survive a suspension longer than its TTL. The first look says so,
/// and `lost` within the second in which the keeper looks at the clock, although no timer has
/// moved.
#[test]
fn a_suspension_longer_than_the_ttl_ends_a_hold() {
    if let Some(marker) = std::env::var_os(SUSPENDED) {
        return tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(hold_through_a_suspension(Path::new(&marker)));
    }
    let folder = tempfile::tempdir().unwrap();
    let shim = build_shim(folder.path());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_suspension_longer_than_the_ttl_ends_a_hold"])
        .env("LD_PRELOAD", shim)
        .env(SUSPENDED, folder.path().join("suspended"))
        .status()
        .unwrap();
    assert!(status.success(), "behind the shim: {status}");
}

async fn hold_through_a_suspension(marker: &Path) {
    let locks = Locks::builder()
        .ttl(Duration::from_secs(60))
        .build(MemoryBackend::new())
        .unwrap();
    let guard = locks.lock("x").acquire().await.unwrap();
    let lost = tokio::spawn(guard.lost());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(guard.is_held());

    std::fs::write(marker, "").unwrap();
    let woken = Instant::now();
    assert!(
        !guard.is_held(),
        "judged at the call, by the clock that went on"
    );
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(10), lost)
            .await
            .expect("told")
            .unwrap(),
        Loss::Expired
    );
    assert!(
        woken.elapsed() < Duration::from_secs(5),
        "{:?}",
        woken.elapsed()
    );
    assert_eq!(guard.release().await.unwrap_err().kind(), ErrorKind::Lost);
}

/// Compiles the shim; the C compiler is there, since SQLite is compiled as well.
fn build_shim(folder: &Path) -> PathBuf {
    let shim = folder.join("libsuspended.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suspension.c");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(compiler)
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(source)
        .status();
    assert!(status.expect("a C compiler").success());
    shim
}
