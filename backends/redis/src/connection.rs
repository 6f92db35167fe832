use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use distlock_core::Moment;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisResult, ServerErrorKind, Value};

use crate::script::Invocation;

/// A connection to the server, which has subscribed to this client's channel.
#[derive(Clone)]
pub(crate) struct Connection {
    /// Which one of its link.
    pub(crate) number: u64,
    multiplexed: MultiplexedConnection,
    /// Since when something was asked and nothing answered.
    silent_since: Arc<Mutex<Option<Moment>>>,
}

impl Connection {
    /// How long the server may be silent before the connection is given up. Some networks forget
    /// connections without a word; a server that is only slow is better waited for.
    const SILENCE: Duration = Duration::from_secs(1);

    pub(crate) async fn made(
        client: &Client,
        config: &AsyncConnectionConfig,
        number: u64,
        channel: &str,
    ) -> RedisResult<Self> {
        let mut multiplexed = client
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        multiplexed.subscribe(channel).await?;
        Ok(Self {
            number,
            multiplexed,
            silent_since: Arc::default(),
        })
    }

    pub(crate) async fn run(&mut self, invocation: &Invocation<'_>) -> RedisResult<Value> {
        self.set_silent_since(Some(Moment::now()));
        let mut answer = self
            .multiplexed
            .req_packed_command(&invocation.by_hash())
            .await;
        if is_unknown_script(&answer) {
            answer = self
                .multiplexed
                .req_packed_command(&invocation.in_full())
                .await;
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
