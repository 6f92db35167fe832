use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use distlock_core::backend::{
    Attempt, Claim, ClaimRequest, EndPatience, Hold, Patience, Released, Renewal,
};
use distlock_core::{Deadline, Error, ErrorKind, FencingToken, Mode, Name, Result, Ttl};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::harness::Harness;
use crate::panics::Panics;

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(5);
/// After this time an attempt that has not returned is waiting on the server, if that does the
/// waiting.
const BLOCKED: Duration = Duration::from_secs(1);

/// A claim that is asked by hand, without an engine.
///
/// Its client has a runtime of its own that runs only while a request does. In between it is as
/// good as stopped: nothing is renewed, no session is kept alive, and its connections stay open.
/// Left alone, it is a holder, or a waiter, that has died.
pub(crate) struct Bare {
    owner: Arc<str>,
    commands: mpsc::Sender<Command>,
}

type Command = Box<dyn FnOnce(&mut Client) + Send>;

struct Client {
    runtime: Runtime,
    state: State,
    waits_on_server: bool,
}

enum State {
    Idle(Box<dyn Claim>),
    /// It waits inside an attempt, as claims do whose server does the waiting.
    Waiting(Waiting, EndPatience),
    Gone,
}

type Waiting = Pin<Box<dyn Future<Output = (Box<dyn Claim>, Result<Attempt>)>>>;

impl Bare {
    pub(crate) async fn new(
        harness: Arc<dyn Harness>,
        panics: Panics,
        name: Name,
        mode: Mode,
        ttl: Ttl,
    ) -> Result<Self> {
        let (commands, orders) = mpsc::channel::<Command>();
        let (ready, started) = oneshot::channel();
        let request = ClaimRequest::new(name, mode, ttl);
        let owner = Arc::clone(&request.owner);
        thread::spawn(move || {
            panics.of_this_thread();
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            let made = runtime.block_on(async {
                let backend = harness.backend().await?;
                let claim = backend.claim(request)?;
                Ok((backend, claim))
            });
            let (_backend, claim) = match made {
                Ok(made) => made,
                Err(error) => return drop(ready.send(Err(error))),
            };
            drop(ready.send(Ok(())));
            let mut client = Client {
                runtime,
                state: State::Idle(claim),
                waits_on_server: harness.capabilities().waits_on_server,
            };
            while let Ok(order) = orders.recv() {
                order(&mut client);
            }
        });
        started.await.unwrap_or_else(|_| Err(died()))?;
        Ok(Self { owner, commands })
    }

    /// Whose claim it is, as the store shows it.
    pub(crate) fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// Joins the line, or refreshes the place in it, and asks once.
    pub(crate) async fn attempt(&self) -> Result<Attempt> {
        self.ask(Client::attempt).await
    }

    /// Asks without any will to wait.
    pub(crate) async fn attempt_once(&self) -> Result<Attempt> {
        self.ask(|client| client.ask(async |claim| claim.attempt(&Patience::none(REQUEST)).await))
            .await
    }

    /// The hold that an attempt must find. As an engine does, it asks again for a while when it is
    /// told that it could not be answered: a session of a short TTL may end before it is used.
    pub(crate) async fn hold(&self) -> Result<Hold> {
        let began = Instant::now();
        let unanswered = |found: &Result<Attempt>| {
            let error = found.as_ref().err();
            error.is_some_and(|error| error.kind() == ErrorKind::Unavailable)
        };
        let mut found = self.attempt().await;
        while unanswered(&found) && began.elapsed() < REQUEST {
            found = self.attempt().await;
        }
        match found? {
            Attempt::Held(hold) => Ok(hold),
            other => Err(Error::new(
                ErrorKind::Unexpected,
                format!("expected to hold the name, found {other:?}"),
            )),
        }
    }

    /// Joins the line behind those who are in the way.
    pub(crate) async fn wait(&self) -> Result<()> {
        match self.attempt().await? {
            Attempt::Blocked(_) => Ok(()),
            other => Err(Error::new(
                ErrorKind::Unexpected,
                format!("expected to be blocked, found {other:?}"),
            )),
        }
    }

    pub(crate) async fn renew(&self) -> Result<Renewal> {
        self.ask(|client| client.ask(async |claim| claim.renew(Deadline::within(REQUEST)).await))
            .await
    }

    pub(crate) async fn release(&self) -> Result<Released> {
        self.ask(|client| client.ask(async |claim| claim.release(Deadline::within(REQUEST)).await))
            .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let order: Command = Box::new(move |client| drop(answer.send(question(client))));
        self.commands.send(order).map_err(|_| died())?;
        answered.await.unwrap_or_else(|_| Err(died()))
    }
}

impl Client {
    fn attempt(&mut self) -> Result<Attempt> {
        let (mut waiting, end) = match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(mut claim) => {
                let (patience, end) = Patience::unlimited(REQUEST);
                let attempt = async move {
                    let result = claim.attempt(&patience).await;
                    (claim, result)
                };
                (Box::pin(attempt) as Waiting, end)
            }
            State::Waiting(waiting, end) => (waiting, end),
            State::Gone => return Err(died()),
        };
        // Elsewhere one that has not returned is slow, and no answer.
        let limit = self.waits_on_server.then_some(BLOCKED);
        let answered = self.runtime.block_on(async {
            match limit {
                Some(limit) => timeout(limit, &mut waiting).await.ok(),
                None => Some((&mut waiting).await),
            }
        });
        match answered {
            Some((claim, result)) => {
                self.state = State::Idle(claim);
                result
            }
            None => {
                self.state = State::Waiting(waiting, end);
                Ok(Attempt::Blocked(Default::default()))
            }
        }
    }

    fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut Box<dyn Claim>) -> Result<T>,
    ) -> Result<T> {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Waiting(waiting, end) => {
                end.end();
                State::Idle(self.runtime.block_on(waiting).0)
            }
            state => state,
        };
        match &mut self.state {
            State::Idle(claim) => self.runtime.block_on(question(claim)),
            _ => Err(died()),
        }
    }
}

/// The fencing token of a hold.
pub(crate) fn token(hold: Hold) -> Result<FencingToken> {
    FencingToken::from_number(hold.number)
}

fn died() -> Error {
    Error::new(ErrorKind::Unexpected, "the thread of a bare claim has died")
}

impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bare").finish_non_exhaustive()
    }
}
