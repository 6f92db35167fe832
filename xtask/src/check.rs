//! `cargo xtask check`: all that can be said of the code without running it. Writes nothing but
//! build output.

use std::process::{Command, ExitCode, Stdio};

use crate::features::{self, Package};
use crate::named;
use crate::steps::{Steps, cargo};

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::begin();
    steps.run(&mut cargo("fmt --all --check"));
    steps.run(&mut cargo(
        "fmt --all --check --manifest-path peers/Cargo.toml",
    ));
    steps.run(&mut cargo(
        "clippy --workspace --all-targets --all-features -- -D warnings",
    ));
    steps.run(cargo("doc --workspace --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings"));
    match features::published() {
        Ok(packages) => {
            for package in &packages {
                each_feature(&mut steps, package);
            }
        }
        Err(fault) => steps.take("the features of each package", || Err(fault)),
    }
    steps.take("the tests that documentation names", named::exist);
    if_installed(&mut steps, "typos", Command::new("typos"));
    if_installed(
        &mut steps,
        "cargo-deny",
        cargo("deny check --hide-inclusion-graph"),
    );
    steps.end()
}

/// Features add up over all who depend on a package, so each must do by itself, and none as well.
/// Clippy, so that what only one of them uses shows as unused in the others.
fn each_feature(steps: &mut Steps, Package { name, features }: &Package) {
    for feature in std::iter::once(None).chain(features.iter().map(Some)) {
        let mut clippy = cargo("clippy --no-default-features --package");
        clippy.arg(name);
        if let Some(feature) = feature {
            clippy.args(["--features", feature]);
        }
        steps.run(clippy.args(["--", "-D", "warnings"]));
    }
}

fn if_installed(steps: &mut Steps, tool: &str, mut command: Command) {
    let version = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if version.is_ok_and(|status| status.success()) {
        steps.run(&mut command);
    } else {
        Steps::skip(tool, "not installed");
    }
}
