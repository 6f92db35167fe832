//! What a server knows of the advisory locks of its sessions.

use anyhow::Result;
use distlock_testbed::{Postgres, Server};

/// Ends all sessions that hold or want an advisory lock.
pub(crate) async fn kill_backends(server: &Server<Postgres>) -> Result<()> {
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    server.sql(kill).await?;
    Ok(())
}

/// How many sessions are in line.
pub(crate) async fn in_line(server: &Server<Postgres>) -> Result<usize> {
    let waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    Ok(server.sql(waiting).await?.len())
}

/// How many sessions hold one without being at work.
pub(crate) async fn idle_holders(server: &Server<Postgres>) -> Result<usize> {
    let holders = "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) \
                   WHERE locktype = 'advisory' AND granted AND state LIKE 'idle%'";
    Ok(server.sql(holders).await?.len())
}
