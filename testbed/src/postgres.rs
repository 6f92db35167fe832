//! PostgreSQL, and PgBouncer.

mod bouncer;
mod pair;
mod programs;
mod template;

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::signal::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use url::Url;

pub use bouncer::{PgBouncer, PoolMode};
pub use pair::PostgresPair;
pub use programs::Programs;

use crate::authority::Identity;
use crate::clock;
use crate::launch::Launch;
use crate::place::Place;
use crate::recipe::{Given, Recipe};
use crate::server::Server;

/// One Postgres, with the superuser and the database `postgres`. What it has confirmed survives
/// that it is killed, but not that the machine is: it does not wait for its disk.
#[derive(Debug, Default)]
pub struct Postgres {
    settings: String,
    needs_password: bool,
    identity: Option<Identity>,
    needs_certificate: bool,
    has_own_clock: bool,
    primary: Option<SocketAddr>,
}

impl Postgres {
    /// Of the superuser, where one is needed.
    pub const PASSWORD: &'static str = "open-sesame";

    /// One with the settings of the program, but for what is said above.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a line more in `postgresql.conf`: `max_connections = 10`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings += line;
        self.settings += "\n";
        self
    }

    /// Lets nobody in without the [password](Self::PASSWORD).
    #[must_use]
    pub fn password(mut self) -> Self {
        self.needs_password = true;
        self
    }

    /// Lets nobody in without TLS, and shows this identity. `ca.pem` in its folder is whom to
    /// trust.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self.setting("ssl = on\nssl_ca_file = '../ca.pem'")
            .setting("ssl_cert_file = '../cert.pem'\nssl_key_file = '../key.pem'")
    }

    /// Lets nobody in without a certificate of the authority of its own, in the name of the user.
    #[must_use]
    pub fn client_certificates(mut self) -> Self {
        self.needs_certificate = true;
        self
    }

    /// Has a wall clock of its own, which can be [set](Server::set_clock_ahead).
    #[must_use]
    pub fn own_clock(mut self) -> Self {
        self.has_own_clock = true;
        self
    }

    /// Begins as a copy of the primary at this address, follows it, and serves only reads.
    #[must_use]
    pub fn standby_of(mut self, primary: SocketAddr) -> Self {
        self.primary = Some(primary);
        self
    }

    /// Who is let in: whoever comes by the socket, which is only there for the testbed; over TCP,
    /// those who fulfil the conditions.
    fn access(&self) -> String {
        let (host, certificate) = match (&self.identity, self.needs_certificate) {
            (None, _) => ("host", ""),
            (Some(_), false) => ("hostssl", ""),
            (Some(_), true) => ("hostssl", "clientcert=verify-full"),
        };
        let method = if self.needs_password {
            "scram-sha-256"
        } else {
            "trust"
        };
        format!(
            "local all all trust\n\
             host replication all 127.0.0.1/32 trust\n\
             {host} all all 127.0.0.1/32 {method} {certificate}\n"
        )
    }

    fn configuration(&self, place: &Place) -> String {
        // Shared memory in files, so that a server that is killed leaves less of it behind.
        format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\n\
             fsync = off\ndynamic_shared_memory_type = mmap\nwal_retrieve_retry_interval = 100ms\n\
             {}",
            place.address().ip(),
            place.address().port(),
            place.folder().display(),
            self.settings,
        )
    }

    async fn connect(place: &Place) -> Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(place.folder())
            .port(place.address().port())
            .username("postgres")
            .database("postgres");
        Ok(options.connect().await?)
    }
}

impl Recipe for Postgres {
    const NAME: &'static str = "postgres";
    const GIVEN_BY: Option<Given> = Some(Given {
        variable: "DISTLOCK_TEST_POSTGRES_URL",
        port: 5432,
    });
    /// Without waiting for clients to leave.
    const STOP: Signal = Signal::SIGINT;
    const REFUSES_ROOT: bool = true;

    fn url(&self, place: &Place) -> String {
        let password = if self.needs_password {
            format!(":{}", Self::PASSWORD)
        } else {
            String::new()
        };
        format!("postgres://postgres{password}@{}/postgres", place.address())
    }

    async fn prepare(&self, place: &Place) -> Result<()> {
        match self.primary {
            None => template::copy(place).await?,
            Some(primary) => {
                place.folder.remove("data")?;
                let copy = Programs::find()?
                    .launch("pg_basebackup")
                    .arguments("--write-recovery-conf --checkpoint=fast --no-sync --pgdata=data")
                    .arguments(&format!(
                        "--host={} --port={}",
                        primary.ip(),
                        primary.port()
                    ))
                    .arguments("--username=postgres --no-password");
                place.run(&copy).await?;
            }
        }
        if let Some(identity) = &self.identity {
            identity.write(place)?;
        }
        if self.has_own_clock {
            clock::prepare(place)?;
        }
        place.write("data/postgresql.conf", &self.configuration(place))?;
        place.write("data/pg_hba.conf", &self.access())?;
        Ok(())
    }

    fn launch(&self, place: &Place) -> Result<Launch> {
        let launch = Programs::find()?.launch("postgres").arguments("-D data");
        Ok(match self.has_own_clock {
            true => clock::behind_shim(launch, place),
            false => launch,
        })
    }

    async fn answers(&self, place: &Place) -> Result<()> {
        Self::connect(place).await?.ping().await?;
        Ok(())
    }

    /// A little shared memory outlives a server that is killed, and the machine has only so many
    /// pieces of it. The seventh line of this file tells the key and the id.
    fn bury(&self, place: &Place) {
        let running = fs::read_to_string(place.data().join("postmaster.pid")).unwrap_or_default();
        let memory = running.lines().nth(6).unwrap_or_default();
        if let Some(id) = memory.split_whitespace().nth(1) {
            // It may be gone already: a server that starts again removes it as well.
            let _ = Command::new("ipcrm")
                .args(["--shmem-id", id])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Server<Postgres> {
    /// A connection of the superuser, by the socket, which no proxy breaks.
    ///
    /// # Errors
    /// The server lets nobody in.
    pub async fn connect(&self) -> Result<PgConnection> {
        match self.place() {
            Ok(place) => Postgres::connect(place).await,
            Err(_given) => {
                let url = Url::parse(&self.url())?;
                Ok(PgConnectOptions::from_url(&url)?.connect().await?)
            }
        }
    }

    /// Does a statement, or several, over a connection of its own, as superuser, and tells the
    /// rows.
    ///
    /// # Errors
    /// The server lets nobody in, or it answers with an error.
    pub async fn sql(&self, statements: &str) -> Result<Vec<PgRow>> {
        let mut connection = self.connect().await?;
        let rows = sqlx::raw_sql(AssertSqlSafe(statements))
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        Ok(rows)
    }
}
