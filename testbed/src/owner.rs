use anyhow::{Context, Result};
use nix::unistd::{Uid, User};

/// A user of this machine without privileges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Owner {
    /// Whom to run a server as that refuses to run as root. Nobody else, unless this process is
    /// root's.
    pub(crate) fn unprivileged() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let user = User::from_name("postgres")?
            .map_or_else(|| User::from_name("nobody"), |user| Ok(Some(user)))?;
        let user =
            user.context("this is root, and there is neither a user `postgres` nor `nobody`")?;
        Ok(Some(Self {
            user: user.uid.as_raw(),
            group: user.gid.as_raw(),
        }))
    }
}
