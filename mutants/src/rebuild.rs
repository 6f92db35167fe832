//! Tries the mutants of the engine: each is built from a copy of the sources, with one passage
//! replaced, and runs the case that must notice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use distlock_mutants::{Killer, Over, Passage, passages};

use crate::workspace;

/// What is not copied.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// Tries those of these numbers, or all if there are none.
pub(crate) fn run(numbers: &[u32]) -> ExitCode {
    let began = Instant::now();
    let sources = match Sources::copied() {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("the sources cannot be copied: {error}");
            return ExitCode::FAILURE;
        }
    };
    let all = passages();
    let wanted = |passage: &&Passage| numbers.is_empty() || numbers.contains(&passage.number);
    let (mut tried, mut survived) = (0, 0);
    for passage in all.iter().filter(wanted) {
        let began = Instant::now();
        let complaint = sources.complaint(passage);
        tried += 1;
        survived += u32::from(complaint.is_some());
        println!(
            "{} ({}): {} in {:.0?}",
            passage.number,
            passage.does,
            complaint.as_deref().unwrap_or("killed"),
            began.elapsed()
        );
    }
    println!("{survived} of {tried} survived, in {:.0?}", began.elapsed());
    ExitCode::from(u8::from(survived > 0))
}

/// A copy of the workspace, and where it is built: kept from run to run, so that only what a
/// mutant changes is built anew.
struct Sources {
    folder: PathBuf,
    target: PathBuf,
}

impl Sources {
    fn copied() -> std::io::Result<Self> {
        let executable = std::env::current_exe()?;
        let target = executable.ancestors().nth(2).unwrap_or(Path::new("target"));
        let sources = Self {
            folder: target.join("mutants/source"),
            target: target.join("mutants/target"),
        };
        copy(workspace(), &sources.folder)?;
        Ok(sources)
    }

    /// What is wrong, if the mutant is not killed as it should be.
    fn complaint(&self, passage: &Passage) -> Option<String> {
        let file = self.folder.join(passage.file);
        let judged = fs::read_to_string(workspace().join(passage.file)).and_then(|source| {
            fs::write(&file, source.replacen(passage.text, passage.instead, 1))?;
            let judged = self.judge(passage);
            fs::write(&file, source)?;
            judged
        });
        judged.unwrap_or_else(|error| Some(error.to_string()))
    }

    fn judge(&self, passage: &Passage) -> std::io::Result<Option<String>> {
        let built = self.cargo(passage.over, &["--no-run"])?;
        if !built.status.success() {
            let why = String::from_utf8_lossy(&built.stderr).into_owned();
            return Ok(Some(format!("does not build: {why}")));
        }
        for killer in &passage.killers {
            if let Some(complaint) = self.complaint_of(passage.over, killer)? {
                return Ok(Some(complaint));
            }
        }
        Ok(None)
    }

    fn complaint_of(&self, over: Over, killer: &Killer) -> std::io::Result<Option<String>> {
        let Killer { case, says } = killer;
        let case_of_store = format!("{}::{case}", over.store());
        let ran = self.cargo(over, &["--", "--exact", &case_of_store])?;
        // A case that takes the whole process with it says so on standard error.
        let told = [ran.stdout, ran.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        Ok(if ran.status.success() {
            Some(format!("survived {case}"))
        } else if !told.contains("running 1 test") || !told.contains(says) {
            Some(format!("{case}: for another reason than `{says}`: {told}"))
        } else {
            None
        })
    }

    fn cargo(&self, over: Over, arguments: &[&str]) -> std::io::Result<std::process::Output> {
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--quiet", "--package", over.package()])
            .args(["--test", "conformance"])
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
    }
}

/// Makes `to` like `from`. Files that are the same stay untouched, so that they are not built anew.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, to) = (entry.file_name(), to.join(entry.file_name()));
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else if entry.file_type()?.is_file() {
            let content = fs::read(entry.path())?;
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::write(&to, content)?;
            }
        }
    }
    Ok(())
}
