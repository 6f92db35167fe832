use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::folder::Folder;
use crate::launch::Launch;
use crate::owner::Owner;
use crate::port::Port;
use crate::recipe::Recipe;

/// Where one server lives: a folder and a port of its own, which stay the same over restarts.
#[derive(Debug)]
pub struct Place {
    pub(crate) folder: Folder,
    port: Port,
}

impl Place {
    /// A place for a server of this kind.
    ///
    /// # Errors
    /// There is no port, or no folder can be made.
    pub fn new<R: Recipe>() -> Result<Self> {
        Self::at::<R>(Port::reserve()?)
    }

    /// A place at this port.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn at<R: Recipe>(port: Port) -> Result<Self> {
        let owner = if R::REFUSES_ROOT {
            Owner::unprivileged()?
        } else {
            None
        };
        Ok(Self {
            folder: Folder::new(R::NAME, owner)?,
            port,
        })
    }

    /// Where clients reach the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The server's files; its data are in `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that is emptied when the server is to lose its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Writes a file that nobody but the server may read.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, contents: &str) -> Result<PathBuf> {
        self.folder.write(name, contents)
    }

    /// Runs a program to its end, which has to be a good one.
    ///
    /// # Errors
    /// It cannot be started, or fails; then its log is told.
    pub async fn run(&self, launch: &Launch) -> Result<()> {
        self.folder.run(launch).await
    }
}
