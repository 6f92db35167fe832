use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, SendError};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, ProtocolVersion, PushInfo, RedisResult, Value};
use tokio::sync::Mutex;

/// What is known of where the server is.
pub(crate) enum Route {
    Server(Client),
    /// These know which server is the primary, if they are asked anew each time.
    Sentinels(Mutex<SentinelClient>),
    /// Each name has a server of its own.
    Cluster(ClusterClient),
}

/// What requests go out on and grants come in.
#[derive(Clone)]
pub(crate) enum Wire {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Route {
    /// How long one server may take to take up a connection.
    const CONNECT: Duration = Duration::from_secs(2);
    /// Requests have deadlines of their own, which are sooner. This one is for what the client of a
    /// cluster asks by itself.
    const ANSWER: Duration = Duration::from_secs(5);

    pub(crate) fn sentinels(client: SentinelClient) -> Self {
        Self::Sentinels(Mutex::new(client))
    }

    /// Connects. What the server says unasked is told to `hear`.
    pub(crate) async fn connect(
        &self,
        hear: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> RedisResult<Wire> {
        let hear = move |push| {
            hear(push);
            Ok::<_, SendError>(())
        };
        let client = match self {
            Self::Cluster(client) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(Self::CONNECT)
                    .set_response_timeout(Self::ANSWER)
                    .set_push_sender(hear);
                let connection = client.get_async_connection_with_config(config).await?;
                return Ok(Wire::Cluster(connection));
            }
            Self::Server(client) => client.clone(),
            Self::Sentinels(client) => client.lock().await.async_get_client().await?,
        };
        // Grants come in on the connection on which requests go out.
        let info = client.get_connection_info().clone();
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Self::CONNECT))
            .set_response_timeout(None)
            .set_push_sender(hear);
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Wire::Server(connection))
    }
}

impl Wire {
    pub(crate) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Server(connection) => connection.subscribe(channel).await,
            Self::Cluster(connection) => connection.subscribe(channel).await,
        }
    }

    pub(crate) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }
}
