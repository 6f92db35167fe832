//! Runtimes that end while others go on.

use std::thread;

use anyhow::Result;
use distlock_core::Locks;
use distlock_etcd::EtcdBackend;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::{LONG, SOON, acquired, locks_for, server, waiting};

/// The connection and the stream of watches were served by the one that has ended.
#[tokio::test]
async fn a_backend_outlives_the_runtime_that_it_was_made_in() -> Result<()> {
    let server = server().await?;
    let url = server.url();
    let made = thread::spawn(move || -> Result<EtcdBackend> {
        let runtime = Runtime::new()?;
        runtime.block_on(async {
            let backend = EtcdBackend::connect(&url).await?;
            let locks = Locks::builder().ttl(LONG).build(backend.clone())?;
            let other = locks_for(LONG, &url).await?;
            let guard = other.lock("a").acquire().await?;
            let next = acquired(&locks, "a");
            waiting(&other, "a", 1).await?;
            guard.release().await?;
            next.await??.release().await?;
            Ok(backend)
        })
    });
    let backend = made.join().expect("no panic")?;
    let one = locks_for(LONG, &server.url()).await?;
    let other = Locks::builder().ttl(LONG).build(backend)?;
    for _ in 0..2 {
        let guard = one.lock("a").acquire().await?;
        let next = acquired(&other, "a");
        waiting(&one, "a", 1).await?;
        guard.release().await?;
        timeout(SOON, next).await???.release().await?;
    }
    Ok(())
}
