//! What is logged, in a process of its own: who listens to all of it listens to all tests.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use distlock_core::Locks;
use distlock_testbed::{Server, ZooKeeper};
use distlock_zookeeper::ZooKeeperBackend;
use tracing::field::Field;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const PASSWORD: &str = "hunter2";

/// All that is logged by whatever crate, at whatever level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, field: &Field, value: &dyn Debug) {
        *self.0.lock().unwrap() += &format!("{field}={value:?}\n");
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        attributes.record(&mut |field: &Field, value: &dyn Debug| self.note(field, value));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut |field: &Field, value: &dyn Debug| self.note(field, value));
    }
}

#[tokio::test]
async fn no_line_of_a_log_has_a_password() -> Result<()> {
    let log = Log::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone()))?;
    let server = Server::started(ZooKeeper::new()).await?;
    let url = |user| {
        server
            .url()
            .replace("://", &format!("://{user}:{PASSWORD}@"))
    };
    let tick = ZooKeeper::TICK;
    let told = |url| format!("{url}?tick_time={tick}ms&max_session_timeout=1m");
    let own = Locks::new(ZooKeeperBackend::connect(&told(url("somebody"))).await?)?;
    let other = Locks::new(ZooKeeperBackend::connect(&told(url("another"))).await?)?;
    let guard = own.lock("a").acquire().await?;
    assert!(other.lock("a").acquire().await.is_err());
    // With another connection, the password is sent again.
    server.restart().await?;
    guard.release().await?;
    server.kill().await?;
    assert!(ZooKeeperBackend::connect(&url("somebody")).await.is_err());
    let log = log.0.lock().unwrap().clone();
    for there in ["acquire", "Auth", "fails in connecting"] {
        assert!(
            log.contains(there),
            "not even what there is: {there} in {log}"
        );
    }
    let bytes = format!("{:?}", PASSWORD.as_bytes());
    for secret in [PASSWORD, &bytes[1..bytes.len() - 1]] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    Ok(())
}
