//! Torture tells stores that are broken from one that is not.

use std::process::{Command, ExitStatus};
use std::thread;

/// The number of each mutant, and the promise that is seen to be broken.
const BROKEN: [(u32, &str); 6] = [
    (28, "Exclusion: "),
    (30, "Exclusion: "),
    (5, "Fencing: "),
    (54, "Fencing: "),
    (11, "Validity: "),
    (10, "Takeover: "),
];

fn tortured(mutant: Option<u32>) -> (ExitStatus, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut torture = Command::new(env!("CARGO_BIN_EXE_distlock-torture"));
    torture
        .args([
            "--store",
            "memory",
            "--ttl",
            "1s",
            "--seconds",
            "20",
            "--seed",
            "1",
            "--out",
        ])
        .arg(folder.path());
    if let Some(mutant) = mutant {
        torture.args(["--mutant", &mutant.to_string()]);
    }
    let output = torture.output().expect("the program");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let page = folder.path().join("history.html");
    assert!(page.exists(), "there is no picture: {told}");
    (output.status, told)
}

#[test]
fn broken_stores_are_caught_and_a_sound_one_is_not() {
    thread::scope(|scope| {
        for (mutant, promise) in BROKEN {
            scope.spawn(move || {
                let (status, told) = tortured(Some(mutant));
                assert_eq!(status.code(), Some(1), "mutant {mutant}: {told}");
                assert!(told.contains(promise), "mutant {mutant}: {told}");
            });
        }
        scope.spawn(|| {
            let (status, told) = tortured(None);
            assert_eq!(status.code(), Some(0), "{told}");
        });
    });
}
