//! The floor: what two transactions cost that each update one row, through the same client with the
//! same settings.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::time::Instant;

pub(crate) struct Bare(Option<SqliteConnection>);

impl Bare {
    pub(crate) async fn open(path: &Path) -> sqlx::Result<Self> {
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
        Ok(Self(Some(connection)))
    }

    /// The time of two updates, one to take and one to give back.
    pub(crate) async fn pairs(&mut self, round: Duration) -> sqlx::Result<Duration> {
        let connection = self.0.take().ok_or(sqlx::Error::WorkerCrashed)?;
        let (connection, time) = tokio::spawn(pairs(connection, round))
            .await
            .expect("the workload does not panic")?;
        self.0 = Some(connection);
        Ok(time)
    }
}

async fn pairs(
    mut connection: SqliteConnection,
    round: Duration,
) -> sqlx::Result<(SqliteConnection, Duration)> {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < round {
        update(&mut connection, Some("me")).await?;
        update(&mut connection, None).await?;
        count += 1;
    }
    Ok((connection, began.elapsed() / count))
}

async fn update(connection: &mut SqliteConnection, holder: Option<&str>) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("UPDATE lock SET holder = ? WHERE name = 'pair'")
        .bind(holder)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
