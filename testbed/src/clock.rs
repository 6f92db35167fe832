//! A wall clock of its own for a server, by a shim in front of that of the C library, or of the
//! kernel.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::launch::Launch;
use crate::place::Place;
use crate::recipe::Recipe;
use crate::server::Server;

/// Says how many seconds the server's clock is ahead of the machine's.
const FILE: &str = "clock";

/// Compiles the shim for the server at this place; its clock is right so far.
pub(crate) fn prepare(place: &Place) -> Result<()> {
    compile(place, include_str!("clock.c"), &[])
}

/// The same for a server that is written in Go, and linked dynamically.
pub(crate) fn prepare_for_go(place: &Place) -> Result<()> {
    // The version that functions of the kernel have.
    place.write("clock.map", "LINUX_2.6 { global: __vdso_*; };")?;
    let options = ["-O2", "-Wl,--version-script=clock.map"];
    compile(place, include_str!("clock_of_go.c"), &options)
}

fn compile(place: &Place, source: &str, options: &[&str]) -> Result<()> {
    place.write(FILE, "0")?;
    let source = place.write("clock.c", source)?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(compiler)
        .args(["-shared", "-fPIC", "-o", "clock.so"])
        .args(options)
        .arg(source)
        .current_dir(place.folder())
        .status()
        .context("there is no C compiler")?;
    ensure!(status.success(), "the C compiler failed: {status}");
    Ok(())
}

/// The same with the shim.
pub(crate) fn behind_shim(launch: Launch, place: &Place) -> Launch {
    let Launch { program, arguments } = launch;
    let folder = place.folder().display();
    let env = Launch::new("env")
        .argument(format!("LD_PRELOAD={folder}/clock.so"))
        .argument(format!("DISTLOCK_TESTBED_CLOCK={folder}/{FILE}"))
        .argument(program);
    arguments.into_iter().fold(env, Launch::argument)
}

impl<R: Recipe> Server<R> {
    /// Puts its wall clock so many seconds ahead of the machine's, or behind.
    ///
    /// # Errors
    /// It has no clock of its own, which its recipe has to say, or was given.
    pub fn set_clock_ahead(&self, seconds: i64) -> Result<()> {
        let place = self.place()?;
        ensure!(
            place.folder().join(FILE).exists(),
            "this {} has the machine's clock",
            R::NAME
        );
        // At once: half of a file is another time.
        let new = place.write("clock.new", &seconds.to_string())?;
        std::fs::rename(new, place.folder().join(FILE))?;
        Ok(())
    }
}
