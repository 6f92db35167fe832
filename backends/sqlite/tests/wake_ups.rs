//! Who is woken where nobody else uses the file. In the suite its cases share one, and what others
//! commit has all who wait look again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::Locks;
use distlock_sqlite::SqliteBackend;
use tokio::time::{sleep, timeout};

const TTL: Duration = Duration::from_secs(300);

/// P7: of two `Locks` over one backend, what the one commits wakes the other.
#[tokio::test]
async fn a_release_wakes_a_waiter_of_the_same_backend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locks.db");
    let backend = Arc::new(SqliteBackend::open(file).await.unwrap());
    let [one, two] = [(); 2].map(|()| {
        let builder = Locks::builder().ttl(TTL);
        builder.build(Arc::clone(&backend)).unwrap()
    });
    for (from, to) in [(&one, &two), (&two, &one), (&one, &two)] {
        let guard = from.lock("x").acquire().await.unwrap();
        let waiting = tokio::spawn(to.lock("x").acquire());
        while one.inspect("x").await.unwrap().waiters.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        guard.release().await.unwrap();
        let woken = timeout(TTL / 6, waiting).await;
        let granted = woken.expect("the lock before the next look is due");
        granted.unwrap().unwrap().release().await.unwrap();
    }
}

/// P7: the file is looked at as often when nobody has committed for long.
#[tokio::test]
async fn a_release_wakes_a_waiter_of_another_backend_after_a_long_silence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locks.db");
    let (one, two) = (locks_of(&file).await, locks_of(&file).await);
    let guard = one.lock("x").acquire().await.unwrap();
    let waiting = tokio::spawn(two.lock("x").acquire());
    sleep(TTL / 30).await;
    guard.release().await.unwrap();
    let woken = timeout(TTL / 60, waiting).await;
    let granted = woken.expect("the lock soon after its release");
    granted.unwrap().unwrap().release().await.unwrap();
}

async fn locks_of(file: &Path) -> Locks {
    let backend = SqliteBackend::open(file).await.unwrap();
    Locks::builder().ttl(TTL).build(backend).unwrap()
}
