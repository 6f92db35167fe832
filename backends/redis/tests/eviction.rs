//! A server that may drop locks is warned of. A test program of its own: others that trace on other
//! threads at the same time would confuse what tracing remembers of each event.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, RedisCluster, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The policies that warnings name.
#[derive(Clone, Debug, Default)]
struct Warned(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Warned {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            event.record(&mut self.clone());
        }
    }
}

impl Visit for Warned {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "policy" {
            self.0.lock().unwrap().push(value.to_owned());
        }
    }
}

/// What is warned of as somebody connects there.
async fn warned_at(url: &str) -> Result<Vec<String>> {
    let warned = Warned::default();
    let subscriber = tracing_subscriber::registry().with(warned.clone());
    let _here = tracing::subscriber::set_default(subscriber);
    RedisBackend::connect(url).await?;
    let warned = warned.0.lock().unwrap().clone();
    Ok(warned)
}

#[tokio::test]
async fn who_connects_is_warned_of_eviction() -> Result<()> {
    at_a_server().await?;
    at_a_cluster().await
}

async fn at_a_server() -> Result<()> {
    let recipe = Redis::new().setting("user mute on >secret ~* &* +@all -info");
    let server = Server::started(recipe).await?;
    let set = async |name, value| server.command::<()>(&["CONFIG", "SET", name, value]).await;
    let none: [&str; 0] = [];

    set("maxmemory", "100mb").await?;
    for policy in ["allkeys-lru", "volatile-ttl"] {
        set("maxmemory-policy", policy).await?;
        assert_eq!(warned_at(&server.url()).await?, [policy]);
    }
    let mute = server.url().replace("redis://", "redis://mute:secret@");
    assert_eq!(warned_at(&mute).await?, none, "who may not ask");
    set("maxmemory-policy", "noeviction").await?;
    assert_eq!(warned_at(&server.url()).await?, none, "it refuses");
    set("maxmemory-policy", "allkeys-lru").await?;
    set("maxmemory", "0").await?;
    assert_eq!(warned_at(&server.url()).await?, none, "it is never full");
    Ok(())
}

async fn at_a_cluster() -> Result<()> {
    let recipe = || {
        let limited = Redis::new().setting("maxmemory 100mb");
        limited.setting("maxmemory-policy volatile-lru")
    };
    let cluster = RedisCluster::started(recipe).await?;
    assert_eq!(
        warned_at(&cluster.url()).await?,
        ["volatile-lru"; 3],
        "of each"
    );
    Ok(())
}
