//! What is asked about a line: each is one request, and done in one step.
//!
//! A server whose database is full may refuse transactions, whatever they do. So what keeps and
//! ends that which is there is none.

use std::sync::Arc;

use distlock_core::{Deadline, Error, Result};
use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use crate::error::strange;
use crate::keys::{Folder, Keys};
use crate::line::Line;
use crate::link::{Connection, Link};

/// Puts the key, unless it is there or the name is in use in another way; and shows the line.
pub(crate) fn join(keys: &Keys, key: &str, value: &str, lease: i64) -> Txn {
    let (name, kind) = (&keys.name, &keys.kind);
    Txn::new()
        .when([
            is_absent(key),
            is_absent(name.start()).with_range(kind.start()),
            is_absent(kind.end()).with_range(name.end()),
        ])
        .and_then([put(key, value, lease), all_of(kind)])
        .or_else([all_of(name)])
}

/// Puts the key, unless one of the name was made after this revision; if so, shows the line.
pub(crate) fn put_if_none_since(
    revision: i64,
    keys: &Keys,
    key: &str,
    value: &str,
    lease: i64,
) -> Txn {
    let name = &keys.name;
    let none_since = Compare::create_revision(name.start(), CompareOp::Less, revision + 1)
        .with_range(name.end());
    Txn::new()
        .when([none_since, is_absent(key)])
        .and_then([put(key, value, lease)])
        .or_else([all_of(name)])
}

/// Shows the line.
pub(crate) async fn look(link: &Arc<Link>, folder: &Folder, by: Deadline) -> Result<Line> {
    let (start, range) = (folder.start().to_owned(), range(folder));
    let request =
        |mut connection: Connection| async move { connection.kv.get(start, Some(range)).await };
    Line::of(link.ask(request, by).await?.kvs())
}

/// Removes the key, and tells which revision had made it, if it was there.
pub(crate) async fn delete(link: &Arc<Link>, key: &str, by: Deadline) -> Result<Option<i64>> {
    let (key, shown) = (key.to_owned(), DeleteOptions::new().with_prev_key());
    let request =
        |mut connection: Connection| async move { connection.kv.delete(key, Some(shown)).await };
    let _turn = link.turn(by).await?;
    let answer = link.ask(request, by).await?;
    Ok(answer.prev_kvs().first().map(KeyValue::create_revision))
}

/// What came of a transaction.
pub(crate) struct Outcome {
    /// Whether its conditions were met.
    pub(crate) is_done: bool,
    pub(crate) revision: i64,
    /// Those who stood in line, if it was to show them.
    pub(crate) line: Line,
}

impl Outcome {
    pub(crate) fn of(answer: &TxnResponse) -> Result<Self> {
        let header = answer.header();
        let header = header.ok_or_else(|| strange("without a revision"))?;
        let shown = answer
            .op_responses()
            .into_iter()
            .find_map(|done| match done {
                TxnOpResponse::Get(mut shown) => Some(shown.take_kvs()),
                _ => None,
            });
        Ok(Self {
            is_done: answer.succeeded(),
            revision: header.revision(),
            line: Line::of(&shown.unwrap_or_default())?,
        })
    }
}

/// Whether a server has refused, since there is no such lease.
pub(crate) fn is_of_no_lease(error: &Error) -> bool {
    use std::error::Error as _;
    let source = error.source();
    let source = source.and_then(|source| source.downcast_ref::<etcd_client::Error>());
    source.is_some_and(crate::error::is_no_lease)
}

fn is_absent(key: impl Into<Vec<u8>>) -> Compare {
    Compare::create_revision(key, CompareOp::Equal, 0)
}

fn put(key: &str, value: &str, lease: i64) -> TxnOp {
    TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease)))
}

fn all_of(folder: &Folder) -> TxnOp {
    TxnOp::get(folder.start(), Some(range(folder)))
}

fn range(folder: &Folder) -> GetOptions {
    GetOptions::new().with_range(folder.end())
}
