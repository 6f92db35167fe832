use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use distlock_core::session::{Alive, Beat, Opened, SessionStore};
use distlock_core::{Deadline, Moment, Result};
use etcd_client::{
    KeyValue, LeaseKeepAliveStream, LeaseKeeper, LeaseTimeToLiveOptions, ResponseHeader, Txn,
    TxnOp, TxnOpResponse,
};
use tokio::join;

use crate::error::{self, is_no_lease, unavailable};
use crate::keys::entry_of;
use crate::link::{Connection, Link, lock};
use crate::places::Places;
use crate::watches::Watches;

/// How this client opens, keeps and ends leases: its sessions.
#[derive(Debug)]
pub(crate) struct Leases {
    pub(crate) link: Arc<Link>,
    pub(crate) watches: Watches,
}

/// A lease, and the keys that stand under it.
pub(crate) struct Lease {
    pub(crate) id: i64,
    pub(crate) places: Places,
    stream: Mutex<Option<Stream>>,
}

/// On what a lease is kept alive, as long as the connection lasts.
struct Stream {
    connection: usize,
    keeper: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

/// That a lease was kept alive, and in which term of its cluster.
struct Kept {
    as_of: Moment,
    term: u64,
}

impl Lease {
    fn new(id: i64) -> Self {
        Self {
            id,
            places: Places::default(),
            stream: Mutex::default(),
        }
    }
}

impl Leases {
    /// Keeps the lease alive. `None`: the server that answered knows it no more.
    async fn keep_alive(&self, lease: &Lease, by: Deadline) -> Result<Option<Kept>> {
        let connection = by.bound(self.link.connection()).await?;
        let stream = lock(&lease.stream).take();
        let stream = stream.filter(|stream| stream.connection == connection.number);
        let mut leases = connection.lease.clone();
        let (id, number) = (lease.id, connection.number);
        let request = async {
            let mut stream = match stream {
                Some(stream) => stream,
                // The client keeps the first answer, and with it the term, to itself.
                None => match leases.keep_alive(id).await {
                    Ok((keeper, answers)) => Stream {
                        connection: number,
                        keeper,
                        answers,
                    },
                    Err(error) if is_no_lease(&error) => return Ok(None),
                    Err(error) => return Err(error),
                },
            };
            let as_of = Moment::now();
            stream.keeper.keep_alive().await?;
            let answer = stream.answers.message().await?;
            Ok(Some((stream, as_of, answer)))
        };
        let request = async { request.await.map_err(error::of) };
        let answered = self.link.answer(&connection, request, by).await??;
        let Some((stream, as_of, answer)) = answered else {
            return Ok(None);
        };
        let Some(answer) = answer else {
            return Err(unavailable("the server has ended the stream of heartbeats"));
        };
        if answer.ttl() <= 0 {
            return Ok(None);
        }
        *lock(&lease.stream) = Some(stream);
        let term = term_of(answer.header())?;
        Ok(Some(Kept { as_of, term }))
    }

    /// The keys that stand under the lease, as the leader knows them, who may be behind. `None`: it
    /// does not tell.
    async fn shown(&self, lease: &Lease, by: Deadline) -> Option<HashMap<u128, Vec<u8>>> {
        let id = lease.id;
        let request = |mut connection: Connection| async move {
            let options = LeaseTimeToLiveOptions::new().with_keys();
            connection.lease.time_to_live(id, Some(options)).await
        };
        let shown = self.link.ask(request, by).await.ok()?;
        let keys = shown.keys().iter();
        let entries = keys.filter_map(|key| Some((entry_of(key)?, key.clone())));
        (shown.ttl() > 0).then(|| entries.collect())
    }

    /// Which of these keys there are, as a quorum knows, and in which term it said so.
    async fn existing(&self, keys: Vec<String>, by: Deadline) -> Result<(Vec<u128>, u64)> {
        match &keys[..] {
            // Of nothing, a server tells nothing without asking the others.
            [] => Err(unavailable("no claim stands under the lease")),
            // Which a server answers whose database is full.
            [key] => {
                let request = |mut connection: Connection| async move {
                    connection.kv.get(&**key, None).await
                };
                let answer = self.link.ask(request, by).await?;
                Ok((
                    entries_of(answer.kvs()).collect(),
                    term_of(answer.header())?,
                ))
            }
            _ => {
                let gets = keys.into_iter().map(|key| TxnOp::get(key, None));
                let read = Txn::new().and_then(gets.collect::<Vec<_>>());
                let request =
                    |mut connection: Connection| async move { connection.kv.txn(read).await };
                let answer = self.link.ask(request, by).await?;
                let mut existing = Vec::new();
                for found in answer.op_responses() {
                    if let TxnOpResponse::Get(found) = found {
                        existing.extend(entries_of(found.kvs()));
                    }
                }
                Ok((existing, term_of(answer.header())?))
            }
        }
    }
}

#[async_trait]
impl SessionStore for Leases {
    type Handle = Lease;

    async fn open(&self, ttl: Duration, by: Deadline) -> Result<Opened<Lease>> {
        let as_of = Moment::now();
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let request =
            |mut connection: Connection| async move { connection.lease.grant(seconds, None).await };
        let granted = self.link.ask(request, by).await?;
        Ok(Opened::new(Lease::new(granted.id()), ttl, as_of))
    }

    /// A leader that was cut off goes on answering heartbeats for a while, although another counts
    /// the TTL from its election. So an answer counts once a quorum has confirmed, later, that the
    /// term is the same.
    async fn beat(&self, lease: &Lease, by: Deadline) -> Result<Beat> {
        // What is shown can be done without.
        let sooner = Deadline::within(by.remaining() / 2);
        let (kept, shown) = join!(self.keep_alive(lease, by), self.shown(lease, sooner));
        let kept = kept?;
        let is_shown = shown.is_some();
        let shown = shown.unwrap_or_default();
        let (existing, term) = self.existing(lease.places.doubtful(&shown), by).await?;
        let Some(kept) = kept else {
            // The leader may not have come as far as where the lease was granted.
            return if existing.is_empty() {
                Ok(Beat::Ended)
            } else {
                Err(unavailable("the server does not know the lease yet"))
            };
        };
        if kept.term != term {
            return Err(unavailable("the servers have changed their leader"));
        }
        lease.places.set_strangers(&shown);
        let entries = shown.into_keys().chain(existing).collect();
        let entries = is_shown.then_some(entries);
        Ok(Beat::Alive(Alive::new(kept.as_of, entries)))
    }

    async fn remove(&self, lease: &Lease, entries: &[u128], by: Deadline) -> Result<()> {
        /// Of what a server takes in one transaction, by its default.
        const MOST: usize = 100;
        let keys = lease.places.strangers_among(entries);
        for keys in keys.chunks(MOST) {
            let deletes = keys.iter().map(|key| TxnOp::delete(key.clone(), None));
            let remove = Txn::new().and_then(deletes.collect::<Vec<_>>());
            let request =
                |mut connection: Connection| async move { connection.kv.txn(remove).await };
            self.link.ask(request, by).await?;
        }
        Ok(())
    }

    async fn end(&self, lease: &Lease, by: Deadline) -> Result<()> {
        let id = lease.id;
        let request = |mut connection: Connection| async move {
            match connection.lease.revoke(id).await {
                Err(error) if is_no_lease(&error) => Ok(()),
                answer => answer.map(drop),
            }
        };
        self.link.ask(request, by).await
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &format_args!("{:x}", self.id))
            .finish_non_exhaustive()
    }
}

fn entries_of(found: &[KeyValue]) -> impl Iterator<Item = u128> {
    found.iter().filter_map(|found| entry_of(found.key()))
}

fn term_of(header: Option<&ResponseHeader>) -> Result<u64> {
    let header = header.ok_or_else(|| error::strange("without saying who it is"))?;
    Ok(header.raft_term())
}
