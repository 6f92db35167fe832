//! The tracing events of a lock's life. A test program of its own: others that trace on other
//! threads at the same time would confuse what tracing remembers of each event.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

mod life;

/// Every event, as its level and one line.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<(Level, String)>>>);

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = *event.metadata().level();
        self.0.lock().unwrap().push((level, line.0));
    }
}

impl Heard {
    #[track_caller]
    fn expect(&self, level: Level, what: &[&str]) {
        let heard = self.0.lock().unwrap();
        let found = heard
            .iter()
            .any(|(at, line)| *at == level && what.iter().all(|what| line.contains(what)));
        assert!(found, "no event at {level} with {what:?}: {heard:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_life_of_a_lock() {
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone());
    let _here = tracing::subscriber::set_default(subscriber);
    life::a_life().await;
    let name = "name=shop:orders/42";
    heard.expect(
        Level::DEBUG,
        &[
            "lock acquired",
            name,
            "token=",
            "waited=",
            "store=\"memory\"",
        ],
    );
    heard.expect(Level::DEBUG, &["lock held by another", name]);
    heard.expect(Level::DEBUG, &["gave up waiting", name, "waited=20"]);
    heard.expect(Level::TRACE, &["lock renewed", name, "left="]);
    heard.expect(Level::DEBUG, &["lock released", name, "held=20"]);
    heard.expect(Level::WARN, &["lock lost", name, "max_hold"]);
}
