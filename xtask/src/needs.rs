//! What has to be on the machine, beside Rust, for the tests to run.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::steps::Steps;

/// Something that the tests need, how to see whether it is there, and how to get it.
pub(crate) struct Need {
    what: &'static str,
    why: &'static str,
    /// Tells what is wrong if it cannot be used.
    probe: fn() -> Result<(), String>,
    /// The packages of Debian and Ubuntu that have it.
    apt: &'static [&'static str],
    /// What to do elsewhere.
    elsewhere: &'static str,
}

/// All of them. A store with a server adds its server here.
pub(crate) const NEEDS: &[Need] = &[
    Need {
        what: "a C compiler",
        why: "the sqlite store builds its own SQLite",
        probe: compiles_c,
        apt: &["gcc", "libc6-dev"],
        elsewhere: "install a C compiler and the headers of the C library; `cc`, or CC, must name it",
    },
    REDIS,
    POSTGRES,
    PGBOUNCER,
    ETCD,
    PROTOC,
    ZOOKEEPER,
];

/// The servers among them: what `cargo xtask servers` starts.
pub(crate) const SERVERS: &[Need] = &[REDIS, POSTGRES, PGBOUNCER, ETCD, PROTOC, ZOOKEEPER];

const REDIS: Need = Need {
    what: "Redis",
    why: "the tests start it and break it",
    probe: || runs(named("DISTLOCK_REDIS_SERVER", "redis-server")),
    apt: &["redis-server"],
    elsewhere: "install Redis; `redis-server`, or DISTLOCK_REDIS_SERVER, must name its program",
};

const POSTGRES: Need = Need {
    what: "PostgreSQL",
    why: "the tests start it and break it",
    probe: finds_postgres,
    apt: &["postgresql"],
    elsewhere: "install PostgreSQL; `postgres` must be found as a program, or in the folder that \
                DISTLOCK_POSTGRES_BIN names",
};

const PGBOUNCER: Need = Need {
    what: "PgBouncer",
    why: "the tests start it in front of PostgreSQL",
    probe: || runs(named("DISTLOCK_PGBOUNCER", "pgbouncer")),
    apt: &["pgbouncer"],
    elsewhere: "install PgBouncer; `pgbouncer`, or DISTLOCK_PGBOUNCER, must name its program",
};

const ETCD: Need = Need {
    what: "etcd",
    why: "the tests start it and break it",
    probe: finds_etcd,
    apt: &["etcd-server", "etcd-client"],
    elsewhere: "install etcd; `etcd`, or DISTLOCK_ETCD, must name its program, and `etcdctl`, or \
                DISTLOCK_ETCDCTL, that for operators",
};

/// Of the crate that speaks to etcd, which the testbed has too.
const PROTOC: Need = Need {
    what: "protoc",
    why: "the client of etcd is built by it",
    probe: || runs(named("PROTOC", "protoc")),
    apt: &["protobuf-compiler"],
    elsewhere: "install the Protocol Buffers compiler; `protoc`, or PROTOC, must name its program",
};

/// What the other lock crates need beside the servers.
pub(crate) const OPENSSL: Need = Need {
    what: "OpenSSL",
    why: "clients of other lock crates are linked with it",
    probe: finds_openssl,
    apt: &["libssl-dev", "pkg-config"],
    elsewhere: "install the headers of OpenSSL; `pkg-config`, or OPENSSL_DIR, must find them",
};

const ZOOKEEPER: Need = Need {
    what: "ZooKeeper",
    why: "the tests start it and break it",
    probe: finds_zookeeper,
    apt: &["zookeeper"],
    elsewhere: "install Java and ZooKeeper; DISTLOCK_ZOOKEEPER_CLASS_PATH must say where Java finds \
                it: `/opt/zookeeper/lib/*`",
};

/// Sees to it that all of these are met.
pub(crate) fn meet(steps: &mut Steps, needs: &[Need]) {
    for need in needs {
        steps.take(&format!("{} ({})", need.what, need.why), || need.meet());
    }
}

impl Need {
    /// Sees to it that the need is met, by installing what is missing where that is known how.
    fn meet(&self) -> Result<(), String> {
        let Err(fault) = (self.probe)() else {
            return Ok(());
        };
        println!("    not usable: {fault}");
        if !succeeds(Command::new("apt-get").arg("--version")) {
            return Err(self.elsewhere.to_owned());
        }
        self.install()?;
        (self.probe)().map_err(|fault| {
            format!(
                "still not usable after installing {}: {fault}",
                self.apt.join(", ")
            )
        })
    }

    fn install(&self) -> Result<(), String> {
        println!("    installing {}", self.apt.join(", "));
        let install =
            |apt_get: &mut Command| succeeds(apt_get.args(["install", "--yes"]).args(self.apt));
        // The lists of packages may be old, or not there: then they are fetched first.
        if install(&mut apt_get()) || succeeds(apt_get().arg("update")) && install(&mut apt_get()) {
            return Ok(());
        }
        Err(format!(
            "could not be installed; run `apt-get install {}` as root",
            self.apt.join(" ")
        ))
    }
}

fn apt_get() -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "env"]);
        sudo
    };
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet",
        "--quiet",
    ]);
    command
}

fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this program is there.
fn runs(program: OsString) -> Result<(), String> {
    if succeeds(Command::new(&program).arg("--version")) {
        Ok(())
    } else {
        Err(format!("`{}` cannot be run", program.display()))
    }
}

fn finds_etcd() -> Result<(), String> {
    runs(named("DISTLOCK_ETCD", "etcd"))?;
    let control = named("DISTLOCK_ETCDCTL", "etcdctl");
    // It has a command for what others have a flag for.
    if succeeds(Command::new(&control).arg("version")) {
        Ok(())
    } else {
        Err(format!("`{}` cannot be run", control.display()))
    }
}

/// The program that a variable names, or else this one.
fn named(variable: &str, program: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| program.into())
}

/// Debian keeps the programs of each version in a folder in which a shell does not look.
fn finds_postgres() -> Result<(), String> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut servers = versions
        .flatten()
        .map(|version| version.path().join("bin/postgres"));
    let program = match env::var_os("DISTLOCK_POSTGRES_BIN") {
        Some(folder) => Path::new(&folder).join("postgres"),
        None => servers
            .find(|server| server.exists())
            .unwrap_or_else(|| "postgres".into()),
    };
    runs(program.into())
}

fn finds_openssl() -> Result<(), String> {
    let mut find = Command::new("pkg-config");
    if env::var_os("OPENSSL_DIR").is_some() || succeeds(find.args(["--exists", "openssl"])) {
        Ok(())
    } else {
        Err("`pkg-config --exists openssl` does not find it".to_owned())
    }
}

/// Debian's package puts it where `testbed` looks.
fn finds_zookeeper() -> Result<(), String> {
    const DEBIAN: &str = "/usr/share/java/zookeeper.jar";
    runs("java".into())?;
    if env::var_os("DISTLOCK_ZOOKEEPER_CLASS_PATH").is_some() || Path::new(DEBIAN).exists() {
        Ok(())
    } else {
        Err(format!("there is no `{DEBIAN}`"))
    }
}

fn compiles_c() -> Result<(), String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let fault = |error: std::io::Error| format!("`{compiler}`: {error}");
    let mut process = Command::new(&compiler)
        .args(["-fsyntax-only", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(fault)?;
    if let Some(mut source) = process.stdin.take() {
        source.write_all(b"#include <stdio.h>\n").map_err(fault)?;
    }
    let status = process.wait().map_err(fault)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{compiler}` does not compile C: {status}"))
    }
}
