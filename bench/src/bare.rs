//! The floor: what two transactions cost that each update one row, through the same client with the
//! same settings.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

use crate::work::{Done, at_once, round};

pub(crate) struct Bare(Arc<Mutex<SqliteConnection>>);

impl Bare {
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .disable_statement_logging()
            .connect()
            .await?;
        sqlx::raw_sql("CREATE TABLE lock (name TEXT PRIMARY KEY, holder TEXT); INSERT INTO lock VALUES ('pair', NULL)")
            .execute(&mut connection)
            .await?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Two updates, one to take and one to give back.
    pub(crate) async fn pairs(&self) -> Result<Done> {
        at_once([pairs(Arc::clone(&self.0))]).await
    }
}

async fn pairs(connection: Arc<Mutex<SqliteConnection>>) -> Result<u32> {
    let mut connection = connection.lock().await;
    let mut count = 0;
    for number in round() {
        update(&mut connection, Some("me")).await?;
        update(&mut connection, None).await?;
        count = number;
    }
    Ok(count)
}

async fn update(connection: &mut SqliteConnection, holder: Option<&str>) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("UPDATE lock SET holder = ? WHERE name = 'pair'")
        .bind(holder)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
