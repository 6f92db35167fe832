//! The task that owns a connection.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::{Error, ErrorKind, Moment, Result};
use sqlx::postgres::PgListener;
use tokio::sync::mpsc;

use crate::connection::{Ending, Lock, Reply, Request, Unlock, Wait};
use crate::error::{self, code, has_code, is_broken};
use crate::key::Key;
use crate::sequence;
use crate::statements::{self, Act};
use crate::table::{Shown, Standing, Table};

/// So many locks are asked for together, at most.
const BATCH: usize = 256;

/// Does what is asked for over a connection, and listens to it in between, so that its end is known
/// at once.
pub(crate) struct ConnectionTask {
    pub(crate) listener: PgListener,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) process: i32,
    pub(crate) ttl: Duration,
    /// How many locks it may hold.
    pub(crate) most: usize,
    pub(crate) table: Table,
    /// A statement has failed after which the server may hold what the table does not show.
    pub(crate) in_doubt: bool,
    pub(crate) ending: Arc<Ending>,
}

/// The connection can be used no more.
struct Broken;

/// An operation that only the server can do, and who asks for it.
enum Asked {
    Lock(Act, Lock),
    Unlock(Shown, Unlock),
}

impl ConnectionTask {
    /// Serves until nobody is left to ask, or the connection breaks.
    pub(crate) async fn run(mut self) {
        while let Some(requests) = self.next_requests().await {
            if self.serve(requests).await.is_err() {
                return;
            }
        }
    }

    async fn next_requests(&mut self) -> Option<Vec<Request>> {
        let first = loop {
            tokio::select! {
                biased;
                request = self.requests.recv() => break request?,
                heard = self.listener.try_recv() => match heard {
                    // Nobody is listened to, but a notification does no harm.
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return None,
                },
            }
        };
        let mut requests = vec![first];
        while requests.len() < BATCH
            && let Ok(request) = self.requests.try_recv()
        {
            requests.push(request);
        }
        Some(requests)
    }

    async fn serve(&mut self, requests: Vec<Request>) -> Result<(), Broken> {
        let mut operations = Vec::new();
        for request in requests {
            match request {
                Request::Lock(_) | Request::Unlock(_) => operations.push(request),
                Request::Beat(reply) => {
                    let entries = self.reconcile().await.map(|()| self.table.entries());
                    self.answer(reply, entries)?;
                }
                Request::Wait(wait) => self.wait(wait).await?,
                Request::Vouch(process, reply) => {
                    let vouched = statements::vouch(&mut self.listener, process, true).await;
                    self.answer(reply, vouched)?;
                }
                Request::Disown(process) => {
                    let disowned = statements::vouch(&mut self.listener, process, false).await;
                    if disowned.is_err_and(|error| is_broken(&error)) {
                        return Err(Broken);
                    }
                }
                Request::Clear(process, reply) => {
                    let cleared = statements::clear(&mut self.listener, process).await;
                    self.answer(reply, cleared)?;
                }
                Request::Bury(key, reply) => {
                    let buried = statements::bury(&mut self.listener, key).await;
                    self.answer(reply, buried)?;
                }
            }
        }
        self.operate(operations).await
    }

    /// Locks and unlocks. Of two requests for one key, the second is decided after the first.
    async fn operate(&mut self, mut operations: Vec<Request>) -> Result<(), Broken> {
        while !operations.is_empty() {
            if self.in_doubt
                && let Err(error) = self.reconcile().await
            {
                return self.refuse(operations, error);
            }
            let mut keys = HashSet::new();
            let mut asked = Vec::new();
            let mut later = Vec::new();
            for operation in mem::take(&mut operations) {
                let key = self.key_of(&operation);
                if key.is_some_and(|key| keys.contains(&key)) {
                    later.push(operation);
                } else if let Some(operation) = self.decide(operation) {
                    keys.extend(key);
                    asked.push(operation);
                }
            }
            operations = later;
            if !asked.is_empty() {
                self.ask(asked).await?;
            }
        }
        Ok(())
    }

    /// Answers what can be answered here; the rest is for the server.
    fn decide(&mut self, operation: Request) -> Option<Asked> {
        match operation {
            // Who has given up asks again if it still wants to know.
            Request::Lock(lock) if lock.reply.is_closed() => None,
            Request::Unlock(unlock) if unlock.reply.is_closed() => None,
            Request::Lock(lock) => {
                let answer = match self.table.standing(lock.entry, lock.wanted) {
                    Standing::MayJoin => return Some(Asked::Lock(Act::Join, lock)),
                    Standing::Free if self.table.len() < self.most => {
                        return Some(Asked::Lock(Act::Lock, lock));
                    }
                    Standing::Free => Err(too_many(self.most)),
                    Standing::Holds(number) => Ok(Some(number)),
                    Standing::Excluded => Ok(None),
                };
                drop(lock.reply.send(answer));
                None
            }
            Request::Unlock(unlock) => {
                if let Some(own) = self.table.own(unlock.entry) {
                    return Some(Asked::Unlock(own, unlock));
                }
                let was_there = self.table.remove(unlock.entry);
                drop(unlock.reply.send(Ok(was_there)));
                None
            }
            _ => None,
        }
    }

    /// The key that an operation is about, if it is about one.
    fn key_of(&self, operation: &Request) -> Option<Key> {
        match operation {
            Request::Lock(lock) => Some(lock.wanted.key),
            Request::Unlock(unlock) => self.table.key(unlock.entry),
            _ => None,
        }
    }

    async fn ask(&mut self, asked: Vec<Asked>) -> Result<(), Broken> {
        let acts = asked.iter().map(|asked| match asked {
            Asked::Lock(act, lock) => (*act, lock.wanted),
            Asked::Unlock(shown, _) => (Act::Unlock, *shown),
        });
        let acts: Vec<_> = acts.collect();
        let found = match statements::operate(&mut self.listener, &acts).await {
            Ok((found, process)) => self.same(process).map(|()| found),
            Err(error) => Err(error),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                // It may have done a part.
                self.in_doubt = true;
                let broken = is_broken(&error);
                let error = sequence::failed(&mut self.listener, error).await;
                for asked in asked {
                    match asked {
                        Asked::Lock(_, lock) => drop(lock.reply.send(Err(error.clone()))),
                        Asked::Unlock(_, unlock) => drop(unlock.reply.send(Err(error.clone()))),
                    }
                }
                return if broken { Err(Broken) } else { Ok(()) };
            }
        };
        for (asked, found) in asked.into_iter().zip(found) {
            match asked {
                Asked::Lock(_, lock) => {
                    if let Some(number) = found {
                        self.table.add(lock.entry, lock.wanted, number);
                    }
                    drop(lock.reply.send(Ok(found)));
                }
                Asked::Unlock(_, unlock) => {
                    self.table.remove(unlock.entry);
                    drop(unlock.reply.send(Ok(found.is_some())));
                }
            }
        }
        Ok(())
    }

    /// Waits on the server. That the wait was cancelled, or has failed, does not mean that the lock
    /// was not granted: the server knows.
    async fn wait(&mut self, wait: Wait) -> Result<(), Broken> {
        if wait.reply.is_closed() {
            return Ok(());
        }
        // A wait that is over soon costs no more of the TTL than that.
        let (as_of, brief) = (Moment::now(), self.ttl / 8);
        let waited = statements::wait(&mut self.listener, self.ttl, brief, wait.wanted).await;
        let outcome = match waited {
            Ok(Some(number)) => Ok(Some((number, as_of))),
            Ok(None) => statements::waited(&mut self.listener).await.map(Some),
            Err(error) if has_code(&error, code::QUERY_CANCELED) => self.cancelled(&wait).await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if !is_broken(&error) => {
                let error = sequence::failed(&mut self.listener, error).await;
                drop(wait.reply.send(Err(error)));
                // It may have a lock without a number.
                Err(Broken)
            }
            outcome => {
                if let Ok(Some((number, _))) = outcome {
                    self.table.add(wait.entry, wait.wanted, number);
                }
                self.answer(wait.reply, outcome)
            }
        }
    }

    async fn cancelled(&mut self, wait: &Wait) -> Result<Option<(u64, Moment)>, sqlx::Error> {
        let (shown, _) = statements::own_locks(&mut self.listener).await?;
        match shown.contains(&wait.wanted) {
            true => statements::waited(&mut self.listener).await.map(Some),
            false => Ok(None),
        }
    }

    /// Makes what the server shows and what the table shows the same: the claims of what is missing
    /// are lost, and what was granted to nobody is given back.
    async fn reconcile(&mut self) -> Result<(), sqlx::Error> {
        let (shown, process) = statements::own_locks(&mut self.listener).await?;
        self.same(process)?;
        let strays = self.table.reconcile(&shown);
        if !strays.is_empty() {
            let unlocks = strays.into_iter().map(|stray| (Act::Unlock, stray));
            let unlocks: Vec<_> = unlocks.collect();
            statements::operate(&mut self.listener, &unlocks).await?;
        }
        self.in_doubt = false;
        Ok(())
    }

    /// A pooler between may have given this connection to another process.
    fn same(&self, process: i32) -> Result<(), sqlx::Error> {
        if process == self.process {
            return Ok(());
        }
        Err(sqlx::Error::Configuration(Box::new(error::pooled())))
    }

    fn refuse(&self, operations: Vec<Request>, error: sqlx::Error) -> Result<(), Broken> {
        let broken = is_broken(&error);
        let error = error::of(error);
        for operation in operations {
            match operation {
                Request::Lock(lock) => drop(lock.reply.send(Err(error.clone()))),
                Request::Unlock(unlock) => drop(unlock.reply.send(Err(error.clone()))),
                _ => {}
            }
        }
        if broken { Err(Broken) } else { Ok(()) }
    }

    fn answer<T>(&self, reply: Reply<T>, result: Result<T, sqlx::Error>) -> Result<(), Broken> {
        let broken = result.as_ref().is_err_and(is_broken);
        drop(reply.send(result.map_err(error::of)));
        if broken { Err(Broken) } else { Ok(()) }
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.ending.has_come(self.process);
    }
}

fn too_many(most: usize) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "this connection holds {most} locks, which is as much of the server's lock table as one \
             takes; raise `max_locks_per_transaction` on the server"
        ),
    )
}
