use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::launch::Launch;

/// Where the programs of Postgres are: in the folder that `DISTLOCK_POSTGRES_BIN` names, or where
/// Debian puts those of each version, the newest of them; else they are found as by a shell.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The environment variable that names their folder.
    pub const FOLDER: &'static str = "DISTLOCK_POSTGRES_BIN";

    /// Looks for them.
    ///
    /// # Errors
    /// Debian's folder cannot be read.
    pub fn find() -> Result<Self> {
        let folder = match std::env::var_os(Self::FOLDER) {
            Some(folder) => folder.into(),
            None => newest(Path::new("/usr/lib/postgresql"))?.unwrap_or_default(),
        };
        Ok(Self { folder })
    }

    /// The program of this name.
    #[must_use]
    pub fn launch(&self, program: &str) -> Launch {
        Launch::new(self.folder.join(program))
    }
}

fn newest(versions: &Path) -> Result<Option<PathBuf>> {
    if !versions.exists() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for version in fs::read_dir(versions)? {
        let version = version?;
        let number: Option<u32> = version.file_name().to_string_lossy().parse().ok();
        let programs = version.path().join("bin");
        // Of a version of which only the client is installed, the server is missing.
        if programs.join("postgres").exists() {
            found.push((number, programs));
        }
    }
    Ok(found.into_iter().max().map(|(_, programs)| programs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_newest_server() {
        let versions = tempfile::tempdir().unwrap();
        assert_eq!(newest(versions.path()).unwrap(), None);
        for version in ["9", "14", "15", "16"] {
            fs::create_dir_all(versions.path().join(version).join("bin")).unwrap();
        }
        for version in ["9", "14", "15"] {
            fs::write(versions.path().join(version).join("bin/postgres"), "").unwrap();
        }
        let expected = versions.path().join("15/bin");
        assert_eq!(newest(versions.path()).unwrap(), Some(expected));
    }

    #[test]
    fn is_content_with_none() {
        assert_eq!(newest(Path::new("/nowhere/at/all")).unwrap(), None);
    }
}
