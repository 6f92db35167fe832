//! What is asked about a line: each is one request, and done in one step.

use std::sync::Arc;

use distlock_core::{Deadline, Result};
use etcd_client::{GetOptions, KeyValue};

use crate::keys::Folder;
use crate::line::Line;
use crate::link::{Connection, Link};
use crate::write::{Write, Written};

/// Shows the line.
pub(crate) async fn look(link: &Arc<Link>, folder: &Folder, by: Deadline) -> Result<Line> {
    let (start, range) = (folder.start().to_owned(), range(folder));
    let request =
        |mut connection: Connection| async move { connection.kv.get(start, Some(range)).await };
    Line::of(link.ask(request, by).await?.kvs())
}

/// Removes the key of a name, and tells which revision had made it, if it was there.
pub(crate) async fn delete(
    link: &Arc<Link>,
    name: &Folder,
    key: &str,
    by: Deadline,
) -> Result<Option<i64>> {
    let write = Write::Leave(name.clone(), key.to_owned());
    let _turn = link.turn(by).await?;
    let connection = by.bound(link.connection()).await?;
    let removing = connection.writes.clone().write(write, by);
    let removed = link.answer(&connection, removing, by).await??.shown;
    Ok(removed.first().map(KeyValue::create_revision))
}

/// What came of a request to put a key.
pub(crate) struct Outcome {
    /// Whether its conditions were met.
    pub(crate) is_done: bool,
    pub(crate) revision: i64,
    /// Those who stood in line, if it was to show them.
    pub(crate) line: Line,
}

impl Outcome {
    pub(crate) fn of(written: &Written) -> Result<Self> {
        Ok(Self {
            is_done: written.is_done,
            revision: written.revision,
            line: Line::of(&written.shown)?,
        })
    }
}

pub(crate) fn range(folder: &Folder) -> GetOptions {
    GetOptions::new().with_range(folder.end())
}
