use distlock_core::Result;
use etcd_client::{
    Compare, CompareOp, DeleteOptions, KeyValue, KvClient, PutOptions, ResponseHeader, Txn, TxnOp,
    TxnOpResponse, TxnResponse,
};

use crate::error::{self, strange};
use crate::keys::{Folder, Keys};
use crate::requests::range;

/// What puts or removes one key: done in one step.
pub(crate) enum Write {
    /// Puts the key, unless it is there or the name is in use in another way; and shows the line.
    Join(Put),
    /// Puts the key, unless one of the name was made after this revision; if so, shows the line.
    Try(Put, i64),
    /// Removes the key of a name, and shows it if it was there.
    Leave(Folder, String),
}

/// A key that is to be put.
pub(crate) struct Put {
    pub(crate) keys: Keys,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) lease: i64,
}

/// What came of a [`Write`].
pub(crate) struct Written {
    /// Whether its conditions were met.
    pub(crate) is_done: bool,
    pub(crate) revision: i64,
    /// The line, or the key that was removed, if that was to be shown.
    pub(crate) shown: Vec<KeyValue>,
}

impl Write {
    /// As many go into one transaction: a server takes 128 conditions, by its default.
    pub(crate) const MOST: usize = 40;

    /// Whether its conditions may fail in the normal course of things.
    pub(crate) fn is_try(&self) -> bool {
        matches!(self, Self::Try(..))
    }

    /// The name that it is about.
    pub(crate) fn name(&self) -> &Folder {
        match self {
            Self::Join(put) | Self::Try(put, _) => &put.keys.name,
            Self::Leave(name, _) => name,
        }
    }

    /// Has it done by a request of its own.
    ///
    /// A server whose database is full may refuse transactions, whatever they do. So what removes a
    /// key is none.
    pub(crate) async fn alone(&self, kv: &mut KvClient) -> Result<Written> {
        if let Self::Leave(_, key) = self {
            let answer = kv.delete(&**key, Some(shown())).await;
            let mut answer = answer.map_err(error::of)?;
            let removed = answer.take_prev_kvs();
            return Written::new(answer.header(), true, removed);
        }
        let transaction = Txn::new()
            .when(self.conditions())
            .and_then(self.steps())
            .or_else(self.otherwise());
        let answer = kv.txn(transaction).await.map_err(error::of)?;
        let shown = all_shown(&answer).next().unwrap_or_default();
        Written::new(answer.header(), answer.succeeded(), shown)
    }

    /// Has all of these done, each of another name, or none of them, in one step. `None`: the
    /// conditions of one were not met.
    pub(crate) async fn together(
        writes: &[&Self],
        kv: &mut KvClient,
    ) -> Result<Option<Vec<Written>>> {
        let conditions = writes.iter().flat_map(|write| write.conditions());
        let steps = writes.iter().flat_map(|write| write.steps());
        let transaction = Txn::new()
            .when(conditions.collect::<Vec<_>>())
            .and_then(steps.collect::<Vec<_>>());
        let answer = kv.txn(transaction).await.map_err(error::of)?;
        if !answer.succeeded() {
            return Ok(None);
        }
        let written = all_shown(&answer).map(|shown| Written::new(answer.header(), true, shown));
        let written = written.collect::<Result<Vec<_>>>()?;
        match written.len() == writes.len() {
            true => Ok(Some(written)),
            false => Err(strange("to something else")),
        }
    }

    fn conditions(&self) -> Vec<Compare> {
        match self {
            Self::Join(Put { keys, key, .. }) => {
                let (name, kind) = (&keys.name, &keys.kind);
                vec![
                    is_absent(&**key),
                    is_absent(name.start()).with_range(kind.start()),
                    is_absent(kind.end()).with_range(name.end()),
                ]
            }
            Self::Try(Put { keys, key, .. }, revision) => {
                let name = &keys.name;
                let none_since =
                    Compare::create_revision(name.start(), CompareOp::Less, revision + 1);
                vec![none_since.with_range(name.end()), is_absent(&**key)]
            }
            Self::Leave(..) => Vec::new(),
        }
    }

    fn steps(&self) -> Vec<TxnOp> {
        match self {
            Self::Join(put) => vec![put.step(), all_of(&put.keys.kind)],
            Self::Try(put, _) => vec![put.step()],
            Self::Leave(_, key) => vec![TxnOp::delete(&**key, Some(shown()))],
        }
    }

    fn otherwise(&self) -> Vec<TxnOp> {
        match self {
            Self::Join(put) | Self::Try(put, _) => vec![all_of(&put.keys.name)],
            Self::Leave(..) => Vec::new(),
        }
    }
}

impl Put {
    fn step(&self) -> TxnOp {
        let under = PutOptions::new().with_lease(self.lease);
        TxnOp::put(&*self.key, &*self.value, Some(under))
    }
}

impl Written {
    fn new(header: Option<&ResponseHeader>, is_done: bool, shown: Vec<KeyValue>) -> Result<Self> {
        let header = header.ok_or_else(|| strange("without a revision"))?;
        Ok(Self {
            is_done,
            revision: header.revision(),
            shown,
        })
    }
}

/// What each of the steps showed that was to show something, in their order.
fn all_shown(answer: &TxnResponse) -> impl Iterator<Item = Vec<KeyValue>> {
    let done = answer.op_responses().into_iter();
    done.filter_map(|done| match done {
        TxnOpResponse::Get(mut found) => Some(found.take_kvs()),
        TxnOpResponse::Delete(mut removed) => Some(removed.take_prev_kvs()),
        _ => None,
    })
}

fn is_absent(key: impl Into<Vec<u8>>) -> Compare {
    Compare::create_revision(key, CompareOp::Equal, 0)
}

fn all_of(folder: &Folder) -> TxnOp {
    TxnOp::get(folder.start(), Some(range(folder)))
}

fn shown() -> DeleteOptions {
    DeleteOptions::new().with_prev_key()
}
