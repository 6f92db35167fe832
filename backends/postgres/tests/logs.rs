//! What is logged, in a process of its own: who listens to all of it listens to all tests.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use distlock_core::Locks;
use distlock_postgres::PostgresBackend;
use distlock_testbed::{Postgres, Server};
use tokio::time::sleep;
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

/// Longer than sqlx, by default, lets a statement take before it calls it slow.
const SLOW: Duration = Duration::from_millis(1500);

/// Nor is a statement that waits for a lock, which is all that it is for, called slow.
#[tokio::test]
async fn no_line_of_a_log_has_a_secret() -> Result<()> {
    let log = Log::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone()))?;
    let server = Server::started(Postgres::new().password()).await?;
    let url = server.url();
    for refused in [
        url.replace(Postgres::PASSWORD, PASSWORD),
        format!("{url}?sslpassword={PASSWORD}"),
    ] {
        let error = PostgresBackend::connect(&refused).await;
        assert!(error.is_err(), "{refused}");
    }
    let one = Locks::new(PostgresBackend::connect(&url).await?)?;
    let other = Locks::new(PostgresBackend::connect(&url).await?)?;
    let guard = one.lock("a").acquire().await?;
    let next = tokio::spawn(other.lock("a").acquire());
    sleep(SLOW).await;
    guard.release().await?;
    next.await??.release().await?;
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("acquire"), "not even what there is: {log}");
    for secret in [PASSWORD, Postgres::PASSWORD, "pg_advisory_lock", "slow"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    Ok(())
}
