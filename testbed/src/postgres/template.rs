//! An empty database cluster, made once a process: that takes seconds, a copy takes a fraction.

use anyhow::Result;
use tokio::sync::OnceCell;

use super::{Postgres, Programs};
use crate::folder::Folder;
use crate::launch::Launch;
use crate::owner::Owner;
use crate::place::Place;

/// Removed when this process ends.
static TEMPLATE: OnceCell<Folder> = OnceCell::const_new();

/// Makes a new data folder at this place.
pub(super) async fn copy(place: &Place) -> Result<()> {
    let template = TEMPLATE.get_or_try_init(template).await?;
    place.folder.remove("data")?;
    let copy = Launch::new("cp")
        .argument("-a")
        .argument(template.path().join("data"))
        .argument(place.data());
    place.run(&copy).await
}

async fn template() -> Result<Folder> {
    let folder = Folder::new("postgres-template", Owner::unprivileged()?)?;
    folder.write("password", Postgres::PASSWORD)?;
    // Small pieces of its log: most of what is copied is one such piece.
    let make = Programs::find()?
        .launch("initdb")
        .arguments("--pgdata=data --username=postgres --pwfile=password --auth=trust")
        .arguments("--encoding=UTF8 --locale=C --wal-segsize=1 --no-sync --no-instructions");
    folder.run(&make).await?;
    Ok(folder)
}
