use std::net::SocketAddr;

use anyhow::Result;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::Postgres;
use crate::launch::Launch;
use crate::place::Place;
use crate::recipe::Recipe;

/// A PgBouncer in front of a Postgres. Started from the program that `DISTLOCK_PGBOUNCER` names, or
/// else `pgbouncer`. It answers once the Postgres does.
#[derive(Debug)]
pub struct PgBouncer {
    upstream: SocketAddr,
    mode: PoolMode,
    settings: String,
}

/// For how long a client keeps a connection of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolMode {
    /// As long as it is connected itself.
    Session,
    /// For a transaction; the next one may run on another.
    Transaction,
}

impl PgBouncer {
    /// The environment variable that names the program.
    pub const PROGRAM: &'static str = "DISTLOCK_PGBOUNCER";

    /// One in front of the Postgres at this address.
    #[must_use]
    pub fn new(upstream: SocketAddr, mode: PoolMode) -> Self {
        Self {
            upstream,
            mode,
            settings: String::new(),
        }
    }

    /// With a line more in its configuration: `default_pool_size = 2`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings += line;
        self.settings += "\n";
        self
    }
}

impl Recipe for PgBouncer {
    const NAME: &'static str = "pgbouncer";
    const REFUSES_ROOT: bool = true;

    fn url(&self, place: &Place) -> String {
        format!("postgres://postgres@{}/postgres", place.address())
    }

    async fn prepare(&self, place: &Place) -> Result<()> {
        place.folder.empty("data")?;
        let users = format!("\"postgres\" \"{}\"\n", Postgres::PASSWORD);
        let users = place.write("users", &users)?;
        let mode = match self.mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let configuration = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
             ignore_startup_parameters = extra_float_digits\n{}",
            self.upstream.ip(),
            self.upstream.port(),
            place.address().ip(),
            place.address().port(),
            users.display(),
            self.settings,
        );
        place.write("pgbouncer.ini", &configuration)?;
        Ok(())
    }

    fn launch(&self, _place: &Place) -> Result<Launch> {
        let program = std::env::var_os(Self::PROGRAM).unwrap_or_else(|| "pgbouncer".into());
        Ok(Launch::new(program).argument("pgbouncer.ini"))
    }

    async fn answers(&self, place: &Place) -> Result<()> {
        let options: PgConnectOptions = self.url(place).parse()?;
        let mut connection = options.connect().await?;
        // Unprepared, which works in each mode.
        sqlx::raw_sql("select 1").execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}
