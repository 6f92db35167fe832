use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use distlock_core::Moment;
use redis::{ErrorKind, PushInfo, RedisResult, ServerErrorKind, Value};

use crate::route::{Route, Wire};
use crate::script::Invocation;

/// A connection to the server, which has subscribed to this client's channel.
#[derive(Clone)]
pub(crate) struct Connection {
    /// Which one of its link.
    pub(crate) number: u64,
    wire: Wire,
    /// Since when something was asked and nothing answered.
    silent_since: Arc<Mutex<Option<Moment>>>,
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
            silent_since: Arc::default(),
        })
    }

    /// What the server says of itself. Those of a cluster are checked by its client.
    pub(crate) async fn greeting(&mut self) -> RedisResult<Option<Value>> {
        match self.wire {
            Wire::Server(_) => self.wire.ask(&redis::cmd("HELLO")).await.map(Some),
            Wire::Cluster(_) => Ok(None),
        }
    }

    /// What the server says of its memory, or each server of a cluster of its own.
    pub(crate) async fn memory(&mut self) -> RedisResult<Value> {
        self.wire.ask(redis::cmd("INFO").arg("memory")).await
    }

    pub(crate) async fn run(&mut self, invocation: &Invocation<'_>) -> RedisResult<Value> {
        self.set_silent_since(Some(Moment::now()));
        let mut answer = self.wire.ask(&invocation.by_hash()).await;
        if is_unknown_script(&answer) {
            answer = self.wire.ask(&invocation.in_full()).await;
        }
        self.set_silent_since(None);
        answer.and_then(Value::extract_error)
    }

    /// Whether the server has not answered anything for too long.
    pub(crate) fn is_silent(&self) -> bool {
        let since = *self
            .silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= Self::SILENCE)
    }

    fn set_silent_since(&self, moment: Option<Moment>) {
        let mut since = self
            .silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = moment.map(|moment| since.unwrap_or(moment));
    }
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
