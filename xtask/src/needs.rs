//! What has to be on the machine, beside Rust, for the tests to run.

use std::io::Write;
use std::process::{Command, Stdio};

/// Something that the tests need, how to see whether it is there, and how to get it.
pub(crate) struct Need {
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
    /// Tells what is wrong if it cannot be used.
    probe: fn() -> Result<(), String>,
    /// The packages of Debian and Ubuntu that have it.
    apt: &'static [&'static str],
    /// What to do elsewhere.
    elsewhere: &'static str,
}

/// All of them. A store with a server adds its server here.
pub(crate) const NEEDS: &[Need] = &[Need {
    what: "a C compiler",
    why: "the sqlite store builds its own SQLite",
    probe: compiles_c,
    apt: &["gcc", "libc6-dev"],
    elsewhere: "install a C compiler and the headers of the C library; `cc`, or CC, must name it",
}];

impl Need {
    /// Sees to it that the need is met, by installing what is missing where that is known how.
    pub(crate) fn meet(&self) -> Result<(), String> {
        let Err(fault) = (self.probe)() else {
            return Ok(());
        };
        println!("    not usable: {fault}");
        if !succeeds(Command::new("apt-get").arg("--version")) {
            return Err(self.elsewhere.to_owned());
        }
        self.install()?;
        (self.probe)().map_err(|fault| {
            format!(
                "still not usable after installing {}: {fault}",
                self.apt.join(", ")
            )
        })
    }

    fn install(&self) -> Result<(), String> {
        println!("    installing {}", self.apt.join(", "));
        let install =
            |apt_get: &mut Command| succeeds(apt_get.args(["install", "--yes"]).args(self.apt));
        // The lists of packages may be old, or not there: then they are fetched first.
        if install(&mut apt_get()) || succeeds(apt_get().arg("update")) && install(&mut apt_get()) {
            return Ok(());
        }
        Err(format!(
            "could not be installed; run `apt-get install {}` as root",
            self.apt.join(" ")
        ))
    }
}

fn apt_get() -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "env"]);
        sudo
    };
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet",
        "--quiet",
    ]);
    command
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn compiles_c() -> Result<(), String> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let fault = |error: std::io::Error| format!("`{compiler}`: {error}");
    let mut process = Command::new(&compiler)
        .args(["-fsyntax-only", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(fault)?;
    if let Some(mut source) = process.stdin.take() {
        source.write_all(b"#include <stdio.h>\n").map_err(fault)?;
    }
    let status = process.wait().map_err(fault)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{compiler}` does not compile C: {status}"))
    }
}
