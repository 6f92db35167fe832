use anyhow::Result;
use distlock_testbed::{PgBouncer, PoolMode, Postgres, PostgresPair, Server};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};

async fn count(server: &Server<Postgres>, table: &str) -> Result<i64> {
    let rows = server.sql(&format!("select count(*) from {table}")).await?;
    Ok(rows[0].try_get(0)?)
}

async fn fetch(connection: &mut PgConnection, statement: &str) -> Result<PgRow> {
    Ok(sqlx::raw_sql(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await?)
}

#[tokio::test]
async fn keeps_its_data_until_it_loses_them() -> Result<()> {
    let postgres = Server::started(Postgres::new()).await?;
    postgres.sql("create table kept as select 1").await?;
    postgres.kill().await?;
    postgres.start().await?;
    assert_eq!(count(&postgres, "kept").await?, 1);
    postgres.restart().await?;
    assert_eq!(count(&postgres, "kept").await?, 1);
    postgres.restart_empty().await?;
    let refused = count(&postgres, "kept").await.unwrap_err();
    assert!(refused.to_string().contains("does not exist"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn stops_although_clients_are_connected() -> Result<()> {
    let postgres = Server::started(Postgres::new()).await?;
    let mut client = PgConnection::connect(&postgres.url()).await?;
    postgres.restart().await?;
    assert!(client.ping().await.is_err());
    Ok(())
}

#[tokio::test]
async fn takes_settings() -> Result<()> {
    let postgres = Server::started(Postgres::new().setting("max_connections = 7")).await?;
    let rows = postgres.sql("show max_connections").await?;
    assert_eq!(rows[0].try_get::<&str, _>(0)?, "7");
    Ok(())
}

#[tokio::test]
async fn lets_in_who_has_the_url() -> Result<()> {
    let postgres = Server::started(Postgres::new().password()).await?;
    let proxy = postgres.proxy().await?;
    for url in [postgres.url(), postgres.url_through(&proxy)] {
        PgConnection::connect(&url).await?.close().await?;
    }
    let wrong = postgres.url().replace(Postgres::PASSWORD, "wrong");
    let refused = PgConnection::connect(&wrong).await.unwrap_err();
    let refused = refused.as_database_error().and_then(|error| error.code());
    assert_eq!(refused.as_deref(), Some("28P01"));
    Ok(())
}

#[tokio::test]
async fn a_standby_follows_until_it_is_promoted() -> Result<()> {
    let pair = PostgresPair::started(Postgres::new).await?;
    pair.primary.sql("create table kept as select 1").await?;
    pair.linked().await?;
    assert_eq!(count(&pair.standby, "kept").await?, 1);
    assert!(
        pair.standby
            .sql("insert into kept values (2)")
            .await
            .is_err()
    );

    pair.primary.kill().await?;
    pair.promote().await?;
    pair.standby.sql("insert into kept values (2)").await?;
    assert_eq!(count(&pair.standby, "kept").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_standby_without_data_copies_the_primary_again() -> Result<()> {
    let pair = PostgresPair::started(Postgres::new).await?;
    pair.standby.kill().await?;
    pair.primary.sql("create table kept as select 1").await?;
    pair.standby.restart_empty().await?;
    pair.linked().await?;
    assert_eq!(count(&pair.standby, "kept").await?, 1);
    Ok(())
}

#[tokio::test]
async fn pgbouncer_keeps_a_connection_for_a_session_or_for_a_transaction() -> Result<()> {
    const PID: &str = "select pg_backend_pid()";
    let postgres = Server::started(Postgres::new()).await?;
    for (mode, stays) in [(PoolMode::Session, true), (PoolMode::Transaction, false)] {
        let bouncer = Server::started(PgBouncer::new(postgres.address(), mode)).await?;
        let mut client = PgConnection::connect(&bouncer.url()).await?;
        let before: i32 = fetch(&mut client, PID).await?.try_get(0)?;
        // Another client takes the connection of the server, if it is free, and keeps it.
        let mut other = PgConnection::connect(&bouncer.url()).await?;
        sqlx::raw_sql("begin").execute(&mut other).await?;
        let others: i32 = fetch(&mut other, PID).await?.try_get(0)?;
        let after: i32 = fetch(&mut client, PID).await?.try_get(0)?;
        assert_eq!(before == after, stays, "{mode:?}");
        assert_eq!(before == others, !stays, "{mode:?}");
        bouncer.kill().await?;
        bouncer.start().await?;
        PgConnection::connect(&bouncer.url()).await?.close().await?;
    }
    Ok(())
}
