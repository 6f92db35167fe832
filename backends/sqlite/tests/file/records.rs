//! What stands in the file: forgotten in time, never repaired by guess.

use std::time::Duration;

use distlock_core::backend::{Attempt, Backend, ClaimRequest, Patience, Released, Renewal};
use distlock_core::{Deadline, ErrorKind, Mode, Name, Ttl};
use distlock_sqlite::SqliteBackend;
use sqlx::sqlite::SqliteConnection;

use crate::{TTL, assert_says, folder, locks, operator, sql, works, works_on};

/// A reboot frees what was held, and numbers go on from the greatest, even with the wall clock
/// behind it.
#[tokio::test]
async fn a_reboot() {
    let (_folder, file) = folder();
    let before = locks(&file)
        .await
        .lock("x")
        .ttl(Duration::from_secs(3600))
        .acquire()
        .await
        .unwrap();
    let year_3000 = 32_503_680_000_000_000_u64 / 8;
    let mut connection = operator(&file).await;
    sqlx::query("UPDATE store SET highest = ?")
        .bind(year_3000 as i64)
        .execute(&mut connection)
        .await
        .unwrap();
    sql(
        &file,
        "UPDATE store SET boot = 'the one before'; UPDATE record SET boot = 'the one before'",
    )
    .await;
    let after = locks(&file)
        .await
        .lock("x")
        .ttl(100 * TTL)
        .acquire_within(20 * TTL)
        .await
        .unwrap();
    assert!(after.token() > before.token());
    assert!(
        after.token().number() > year_3000,
        "the clock is not what numbers rest on alone"
    );
    let another = locks(&file).await;
    let tried = another.lock("x").try_acquire().await.unwrap();
    assert!(
        tried.is_none(),
        "what is held now is taken for the old boot's"
    );
}

/// Records that nobody needs any more go, however many; the others, and the greatest number, stay.
#[tokio::test]
async fn records_are_forgotten_and_numbers_are_not() {
    let (_folder, file) = folder();
    let before = locks(&file).await;
    let lock = before.lock("held").ttl(100 * TTL);
    let held = lock.acquire().await.unwrap();
    sql(
        &file,
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
         INSERT INTO record SELECT namespace, n, version, boot, 1, queue FROM record, numbers;
         UPDATE store SET highest = 4000000000000000",
    )
    .await;
    let locks = locks(&file).await;
    let mut connection = operator(&file).await;
    let records: Vec<String> = sqlx::query_scalar("SELECT name FROM record")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(records, ["held"]);
    let guard = locks.lock("x").acquire().await.unwrap();
    assert!(guard.token().number() > 4_000_000_000_000_000);
    held.release().await.unwrap();
}

/// The record of the one name, byte by byte, and its version.
async fn stored(connection: &mut SqliteConnection) -> (Vec<u8>, i64) {
    let statement = "SELECT CAST(queue AS BLOB), version FROM record";
    let row = sqlx::query_as(statement).fetch_one(connection).await;
    row.unwrap()
}

/// Puts these bytes in the record's place, as a program would that knows nothing of it.
async fn overwrite(connection: &mut SqliteConnection, bytes: &[u8]) {
    sqlx::query("UPDATE record SET queue = CAST(? AS TEXT), version = version + 1")
        .bind(bytes)
        .execute(connection)
        .await
        .unwrap();
}

/// What may be found in the place of this record: every kind of damage, not each of its bytes,
/// which the tests of the record itself see to.
fn damages(whole: &[u8]) -> Vec<Vec<u8>> {
    let text = str::from_utf8(whole).unwrap();
    let mut damages: Vec<_> = [
        "",
        "hello",
        "{}",
        r#"{"version":1,"owner":"somebody else"}"#,
        "\0\0\0\0",
        &"[".repeat(10_000),
        &text[..text.len() / 2],
        &text.replace("last", "least"),
        &text.replace(r#""label""#, r#""id""#),
        &text.replace(r#""shared""#, r#""exclusive""#),
        &text.replace(r#""shared""#, r#"{"permit":{"limit":0}}"#),
        &text.replace(r#""number":"#, r#""number":-"#),
        &text.replace(r#""expires_us":"#, r#""expires_us":99"#),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    damages.push(b"\xff\xfe{}".to_vec());
    let mut mangled = whole.to_vec();
    let label = text.find("label").unwrap() + 9;
    mangled[label] = 0xff;
    damages.push(mangled);
    damages
}

/// Whatever is asked about a record that is refused, nothing is written; and once it is whole
/// again, it goes on.
#[tokio::test]
async fn a_damaged_record_is_told_and_left_alone() {
    let (_folder, file) = folder();
    let backend = SqliteBackend::open(&file).await.unwrap();
    let name = Name::new("x").unwrap();
    let claim = |mode| {
        let ttl = Ttl::new(Duration::from_secs(3600), backend.capabilities()).unwrap();
        let mut request = ClaimRequest::new(name.clone(), mode, ttl);
        request.label = "somebody".into();
        backend.claim(request).unwrap()
    };
    let by = || Deadline::within(Duration::from_secs(5));
    let none = || Patience::none(Duration::from_secs(5));
    let (mut reader, mut other) = (claim(Mode::Shared), claim(Mode::Shared));
    for reader in [&mut reader, &mut other] {
        assert!(matches!(
            reader.attempt(&none()).await,
            Ok(Attempt::Held(_))
        ));
    }
    let mut connection = operator(&file).await;
    let (whole, _) = stored(&mut connection).await;
    for damage in damages(&whole) {
        assert_ne!(damage, whole);
        overwrite(&mut connection, &damage).await;
        let before = stored(&mut connection).await;
        let mut newcomer = claim(Mode::Shared);
        let (patience, _end) = Patience::unlimited(Duration::from_secs(5));
        for result in [
            newcomer.attempt(&patience).await.map(drop),
            newcomer.attempt(&none()).await.map(drop),
            newcomer.release(by()).await.map(drop),
            reader.attempt(&none()).await.map(drop),
            reader.renew(by()).await.map(drop),
            reader.release(by()).await.map(drop),
            backend.inspect(&name, by()).await.map(drop),
        ] {
            assert_says(&result.unwrap_err(), ErrorKind::Unexpected, "damaged");
        }
        assert_eq!(stored(&mut connection).await, before);
        works_on(&file, "another").await;
        sqlx::query("DELETE FROM record WHERE name = 'another'")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    overwrite(&mut connection, &whole).await;
    assert!(matches!(reader.renew(by()).await, Ok(Renewal::Extended(_))));
    assert_eq!(reader.release(by()).await.unwrap(), Released::Held);
    assert_eq!(other.release(by()).await.unwrap(), Released::Held);
    sql(&file, "DELETE FROM record").await;
    works(&file).await;
}

/// A record of a later version of this library says so.
#[tokio::test]
async fn a_record_of_a_newer_version_is_told_and_left_alone() {
    let (_folder, file) = folder();
    works(&file).await;
    let mut connection = operator(&file).await;
    overwrite(&mut connection, br#"{"version":2,"other":"fields"}"#).await;
    let before = stored(&mut connection).await;
    let locks = locks(&file).await;
    let error = locks.lock("x").acquire().await.unwrap_err();
    assert_says(&error, ErrorKind::Misconfigured, "version 2");
    let error = locks.inspect("x").await.unwrap_err();
    assert_says(&error, ErrorKind::Misconfigured, "version 2");
    locks.settle().await;
    assert_eq!(stored(&mut connection).await, before);
}
