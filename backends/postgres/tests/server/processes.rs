//! Processes that are stopped where they are (SIGSTOP): their connections stay open, and the kernel
//! answers for them.

use std::env;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use distlock_testbed::{Postgres, Server};
use tokio::time::{sleep, timeout};

use crate::{SOON, TTL, acquired, locks, number, server, waiting};

/// Tells a process that is started here which server to lock at.
const SERVER: &str = "DISTLOCK_SERVER_OF_PROCESS";

/// Another process that acquires this lock, and holds it until it ends.
struct Other(Child);

impl Other {
    fn started(server: &Server<Postgres>) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?);
        process.args(["--ignored", "--exact", "processes::acquires_and_holds"]);
        Ok(Self(process.env(SERVER, server.url()).spawn()?))
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let process = self.0.id().to_string();
        let kill = Command::new("kill").args([signal, &process]).status()?;
        ensure!(kill.success(), "{signal}");
        Ok(())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "what a process does that another test starts"]
async fn acquires_and_holds() -> Result<()> {
    let server = env::var(SERVER).context("started by nobody")?;
    let _guard = locks(&server).await?.lock("a").acquire().await?;
    std::future::pending().await
}

#[tokio::test]
async fn a_process_that_was_stopped_in_line_costs_no_ttl() -> Result<()> {
    let server = server().await?;
    let (one, two) = (locks(&server.url()).await?, locks(&server.url()).await?);
    let guard = one.lock("a").acquire().await?;
    let stopped = Other::started(&server)?;
    waiting(&one, "a", 1).await?;
    let next = acquired(&two, "a");
    waiting(&one, "a", 2).await?;
    stopped.signal("-STOP")?;
    sleep(TTL * 3 / 2).await;
    guard.release().await?;
    let guard = timeout(TTL / 2, next).await???;
    // It finds its place gone, and takes another.
    stopped.signal("-CONT")?;
    waiting(&one, "a", 1).await?;
    assert!(guard.is_held());
    guard.release().await?;
    timeout(SOON, held_by_another(&server)).await?
}

#[tokio::test]
async fn a_process_that_was_stopped_while_it_held_is_taken_over() -> Result<()> {
    let server = server().await?;
    let one = locks(&server.url()).await?;
    let stopped = Other::started(&server)?;
    timeout(SOON, held_by_another(&server)).await??;
    stopped.signal("-STOP")?;
    let guard = timeout(TTL + TTL / 2, one.lock("a").acquire()).await??;
    stopped.signal("-CONT")?;
    sleep(TTL / 2).await;
    assert!(guard.is_held());
    assert_eq!(one.inspect("a").await?.holders.len(), 1);
    guard.release().await?;
    Ok(())
}

async fn held_by_another(server: &Server<Postgres>) -> Result<()> {
    let held = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1 \
                and granted";
    while number(server, held).await? == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
