//! Who writes keeps others from writing: for how long, and what that costs them.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use distlock_sqlite::SqliteBackend;
use tokio::sync::Notify;

use crate::{folder, operator, works};

/// An opening that its runtime leaves alone, wherever it has got to, keeps nobody from writing.
#[tokio::test]
async fn an_opening_that_is_left_alone() {
    #[derive(Default)]
    struct Woken(Notify);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }
    let (_folder, file) = folder();
    works(&file).await;
    let mut other = operator(&file).await;
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut opening = pin!(SqliteBackend::open(&file));
    let mut steps = 0;
    while opening
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        woken.0.notified().await;
        let written = sqlx::raw_sql("BEGIN IMMEDIATE; COMMIT").execute(&mut other);
        assert!(written.await.is_ok(), "not after {steps} steps");
        steps += 1;
    }
    assert!(steps > 2);
}
