use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distlock_core::{Deadline, Moment};
use redis::{ErrorKind, PushInfo, RedisError, RedisResult, ServerErrorKind, Value};

use crate::gathering::{Dealt, Gathering};
use crate::request::Request;
use crate::route::{Route, Wire};
use crate::script::Invocation;

/// A connection to the server, which has subscribed to this client's channel.
pub(crate) struct Connection {
    /// Which one of its link.
    pub(crate) number: u64,
    wire: Wire,
    pub(crate) gathering: Gathering,
    /// Since when something was asked and nothing answered.
    silent_since: Mutex<Option<Moment>>,
}

/// An answer, and an instant before the request for it was sent.
pub(crate) struct Answered {
    pub(crate) value: Value,
    pub(crate) sent: Moment,
}

impl Connection {
    /// How long the server may be silent before the connection is given up. Some networks forget
    /// connections without a word; a server that is only slow is better waited for.
    const SILENCE: Duration = Duration::from_secs(1);

    pub(crate) async fn made(
        route: &Route,
        number: u64,
        channel: &str,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> RedisResult<Self> {
        let mut wire = route.connect(hear).await?;
        wire.subscribe(channel).await?;
        Ok(Self {
            number,
            wire,
            gathering: Gathering::here(),
            silent_since: Mutex::default(),
        })
    }

    /// What the server says of itself. Those of a cluster are checked by its client.
    pub(crate) async fn greeting(&self) -> RedisResult<Option<Value>> {
        match self.wire {
            Wire::Server(_) => self.wire().ask(&redis::cmd("HELLO")).await.map(Some),
            Wire::Cluster(_) => Ok(None),
        }
    }

    /// What the server says of its memory, or each server of a cluster of its own.
    pub(crate) async fn memory(&self) -> RedisResult<Value> {
        self.wire().ask(redis::cmd("INFO").arg("memory")).await
    }

    /// Asks for this, with others if there are any.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        request: &Request,
        by: Deadline,
    ) -> RedisResult<Answered> {
        let unanswered = self.gathering.count();
        if unanswered.is_one_of_many && matches!(self.wire, Wire::Server(_)) {
            self.note_asked();
            match Gathering::add(self, request, by).await {
                Ok(Dealt::Answered(answered)) => return answered,
                Ok(Dealt::Alone) => {}
                Ok(Dealt::Late) => std::future::pending().await,
                Err(_ended) => return Err(gone()),
            }
        }
        // In a box of its own, so that those who go with others have a small one.
        Box::pin(self.run(&request.alone())).await
    }

    /// Has a script run.
    pub(crate) async fn run(&self, invocation: &Invocation<'_>) -> RedisResult<Answered> {
        let sent = Moment::now();
        let value = self.evaluate(invocation).await?.extract_error()?;
        Ok(Answered { value, sent })
    }

    /// Has a script run, whose answer, or a part of it, may be an error.
    pub(crate) async fn evaluate(&self, invocation: &Invocation<'_>) -> RedisResult<Value> {
        self.note_asked();
        let mut wire = self.wire();
        let mut answer = wire.ask(&invocation.by_hash()).await;
        if is_unknown_script(&answer) {
            answer = wire.ask(&invocation.in_full()).await;
        }
        self.note_answered();
        answer
    }

    /// Whether the server has not answered anything for too long.
    pub(crate) fn is_silent(&self) -> bool {
        let since = *self.silent_since();
        since.is_some_and(|since| since.elapsed() >= Self::SILENCE)
    }

    fn wire(&self) -> Wire {
        self.wire.clone()
    }

    fn note_asked(&self) {
        self.silent_since().get_or_insert_with(Moment::now);
    }

    fn note_answered(&self) {
        *self.silent_since() = None;
    }

    fn silent_since(&self) -> MutexGuard<'_, Option<Moment>> {
        let since = self.silent_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a request whose connection has ended with its runtime.
fn gone() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
}

fn is_unknown_script(answer: &RedisResult<Value>) -> bool {
    let error = match answer {
        Err(error) => error.kind(),
        Ok(Value::ServerError(error)) => match error.kind() {
            Some(kind) => ErrorKind::Server(kind),
            None => return false,
        },
        Ok(_) => return false,
    };
    error == ErrorKind::Server(ServerErrorKind::NoScript)
}
