//! What can be done to each server.

use std::fs;
use std::net::TcpListener;

use anyhow::{Result, anyhow, bail};
use distlock_testbed::{
    Etcd, Launch, PgBouncer, Place, PoolMode, Postgres, Recipe, Redis, Server, ZooKeeper,
};
use tokio::net::TcpStream;

use crate::processes;

#[tokio::test]
async fn redis() -> Result<()> {
    breaks(Server::started(Redis::new()).await?).await
}

#[tokio::test]
async fn postgres() -> Result<()> {
    breaks(Server::started(Postgres::new()).await?).await
}

#[tokio::test]
async fn etcd() -> Result<()> {
    breaks(Server::started(Etcd::new()).await?).await
}

#[tokio::test]
async fn pgbouncer() -> Result<()> {
    let postgres = Server::started(Postgres::new()).await?;
    let bouncer = PgBouncer::new(postgres.address(), PoolMode::Session);
    breaks(Server::started(bouncer).await?).await
}

#[tokio::test]
async fn zookeeper() -> Result<()> {
    breaks(Server::started(ZooKeeper::new()).await?).await
}

/// Does all of it, one after the other.
async fn breaks<R: Recipe>(server: Server<R>) -> Result<()> {
    let folder = server.folder()?.to_owned();
    let first = server.pid().await?;
    assert!(processes::of(&server)?.contains_key(&first));

    server.pause().await?;
    let all_stopped = || {
        processes::in_folder(&folder)
            .values()
            .all(|state| *state == 'T')
    };
    processes::soon("all processes stop", all_stopped).await;
    assert!(!processes::of(&server)?.is_empty());
    // The kernel takes connections all the same.
    TcpStream::connect(server.address()).await?;
    server.resume().await?;
    let none_stopped = || {
        processes::in_folder(&folder)
            .values()
            .all(|state| *state != 'T')
    };
    processes::soon("all processes go on", none_stopped).await;

    server.start().await?;
    assert_eq!(server.pid().await?, first, "it was running already");

    server.kill().await?;
    assert!(processes::of(&server)?.is_empty());
    assert!(server.pid().await.is_err());
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.kill().await?;
    server.stop().await?;
    server.start().await?;

    // What is stopped can be killed, and can be stopped in order too.
    server.pause().await?;
    server.kill().await?;
    assert!(processes::of(&server)?.is_empty());
    server.start().await?;
    server.pause().await?;
    server.restart().await?;
    server.restart_empty().await?;
    assert_ne!(server.pid().await?, first);

    drop(server);
    assert!(processes::in_folder(&folder).is_empty());
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn ends_when_its_owner_panics() -> Result<()> {
    let redis = Server::started(Redis::new()).await?;
    let folder = redis.folder()?.to_owned();
    let owner = tokio::spawn(async move {
        assert!(redis.folder().is_err(), "panics");
    });
    assert!(owner.await.unwrap_err().is_panic());
    assert!(processes::in_folder(&folder).is_empty());
    assert!(!folder.exists());
    Ok(())
}

/// Runs, and never answers.
#[derive(Debug)]
struct Mute;

impl Recipe for Mute {
    const NAME: &'static str = "mute";

    fn url(&self, place: &Place) -> String {
        format!("mute://{}", place.address())
    }

    async fn prepare(&self, _place: &Place) -> Result<()> {
        Ok(())
    }

    fn launch(&self, _place: &Place) -> Result<Launch> {
        Ok(Launch::new("sleep").argument("3600"))
    }

    async fn answers(&self, _place: &Place) -> Result<()> {
        bail!("it says nothing")
    }
}

#[tokio::test]
async fn ends_when_it_is_given_up_while_it_starts() -> Result<()> {
    let place = Place::new::<Mute>()?;
    let folder = place.folder().to_owned();
    let is_marked = || fs::read_dir(&folder).is_ok_and(|files| files.count() > 1);
    tokio::select! {
        outcome = Server::started_at(place, Mute) => outcome.map(drop)?,
        // From then on, nothing keeps the program from running; before, it would end by itself.
        () = processes::soon("it has its mark", is_marked) => {}
    }
    assert!(processes::in_folder(&folder).is_empty());
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_its_log() -> Result<()> {
    let refused = Server::started(Redis::new().setting("no-such-setting 1")).await;
    let refused = refused.err().ok_or_else(|| anyhow!("it started"))?;
    let text = format!("{refused:#}");
    assert!(
        text.contains("no-such-setting") && text.contains("it ended"),
        "{text}"
    );

    let refused = Server::started(Postgres::new().setting("no_such_setting = 1")).await;
    let refused = refused.err().ok_or_else(|| anyhow!("it started"))?;
    assert!(format!("{refused:#}").contains("no_such_setting"));
    Ok(())
}

#[tokio::test]
async fn nobody_takes_the_port_of_a_server_that_is_down() -> Result<()> {
    let redis = Server::started(Redis::new()).await?;
    redis.kill().await?;
    let others: Vec<_> = (0..1000)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    for other in &others {
        assert_ne!(other.local_addr()?, redis.address());
    }
    redis.start().await
}

#[tokio::test]
async fn many_start_at_once() -> Result<()> {
    let starting: Vec<_> = (0..10)
        .map(|_| tokio::spawn(Server::started(Redis::new())))
        .collect();
    let mut addresses = Vec::new();
    let mut servers = Vec::new();
    for server in starting {
        let server = server.await??;
        addresses.push(server.address());
        servers.push(server);
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 10);
    Ok(())
}
