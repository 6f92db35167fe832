//! A short torture of each store that has servers or files, as anyone would run it for longer.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// Each with its topology.
const STORES: [(&str, &str); 6] = [
    ("zookeeper", "ensemble"),
    ("etcd", "cluster"),
    ("postgres", "single"),
    ("redis", "cluster"),
    ("redis", "single"),
    ("sqlite", "one"),
];

/// How many at once: they share the processor, and it is their waiting that takes the time.
const AT_ONCE: usize = 3;

#[test]
fn each_store_keeps_its_promises_while_it_is_broken() {
    let stores = Mutex::new(STORES.into_iter());
    let next = || stores.lock().expect("the list").next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((store, topology)) = next() {
                    survives(store, topology);
                }
            });
        }
    });
}

/// Its history stays there until the next run.
fn survives(store: &str, topology: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{store}-{topology}"));
    // There is none after the first run.
    let _ = std::fs::remove_dir_all(&folder);
    let output = Command::new(env!("CARGO_BIN_EXE_distlock-torture"))
        .args(["--store", store, "--topology", topology])
        .args(["--seconds", "15", "--seed", "1", "--workers", "3"])
        .arg("--out")
        .arg(&folder)
        .output()
        .expect("the program");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{store} {topology}, {}: {told}{errors}",
        output.status
    );
}
