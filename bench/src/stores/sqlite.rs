//! SQLite: this library beside two transactions that each update one row, through the same client
//! with the same settings.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use distlock_load::{Clients, Locker, Lockers, Mode, Names, Seat, Workload, async_trait};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::Arena;
use crate::contestant::{Contestant, here};
use crate::distlock::Place;
use crate::extras::Extras;
use crate::plan::{ONE_TASK, TASKS_64};
use crate::ratio::{BARE, Bound, DISTLOCK, Ratio, Ratios};

pub(crate) struct Sqlite(TempDir);

impl Sqlite {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }
}

#[async_trait]
impl Arena for Sqlite {
    fn place(&self) -> Place {
        Place::Url(format!(
            "sqlite://{}",
            self.0.path().join("locks.db").display()
        ))
    }

    fn most_in_line(&self) -> usize {
        // They look at the file again and again.
        100
    }

    async fn bare(&self) -> Result<Vec<Box<dyn Contestant>>> {
        let file = self.0.path().join("bare.db");
        Ok(vec![here(BARE, Bare(file, Clients::default()))])
    }

    fn ratios(&self) -> Vec<Ratio> {
        vec![
            Ratio::times(
                "time of a pair / of a bare pair",
                (ONE_TASK, DISTLOCK),
                (ONE_TASK, BARE),
            ),
            Ratio::rates(
                "rate of 64 tasks / of one",
                (TASKS_64, DISTLOCK),
                (ONE_TASK, DISTLOCK),
            ),
            Ratio::SHARE,
        ]
    }

    fn bounds(&self, ratios: &Ratios<'_>, _extras: &Extras) -> Vec<Bound> {
        let [pair, many, ..] = &self.ratios()[..] else {
            return Vec::new();
        };
        vec![
            Bound::at_most(
                "sqlite, one task / two bare transactions",
                ratios.value(pair),
                2.0,
            ),
            Bound::at_least(
                "sqlite, 64 tasks on 64 names / one task, rates",
                ratios.value(many),
                4.0,
            ),
        ]
    }
}

type Shared = Arc<Mutex<SqliteConnection>>;

/// One connection for all tasks.
struct Bare(PathBuf, Clients<Shared>);

#[async_trait]
impl Lockers for Bare {
    fn can(&self, workload: &Workload) -> bool {
        workload.names == Names::Apart && workload.tasks <= 256
    }

    async fn locker(&self, seat: Seat) -> Result<Box<dyn Locker>> {
        let connection = self.1.get(seat.client, || connect(self.0.clone())).await?;
        sqlx::query("INSERT OR IGNORE INTO lock VALUES (?, NULL)")
            .bind(&seat.name)
            .execute(&mut *connection.lock().await)
            .await?;
        Ok(Box::new(Row {
            connection,
            name: seat.name,
        }))
    }
}

async fn connect(file: PathBuf) -> sqlx::Result<Shared> {
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::raw_sql("CREATE TABLE lock (name TEXT PRIMARY KEY, holder TEXT)")
        .execute(&mut connection)
        .await?;
    Ok(Arc::new(Mutex::new(connection)))
}

struct Row {
    connection: Shared,
    name: String,
}

#[async_trait]
impl Locker for Row {
    async fn acquire(&mut self, _mode: Mode) -> Result<()> {
        self.update(Some("me")).await
    }

    async fn release(&mut self) -> Result<()> {
        self.update(None).await
    }
}

impl Row {
    async fn update(&self, holder: Option<&str>) -> Result<()> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE lock SET holder = ? WHERE name = ?")
            .bind(holder)
            .bind(&self.name)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
