//! The written form of a `LockQueue`: pinned, kept for long enough, and refused where it is not
//! sound.

mod damage;
mod refusal;

use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::{LockQueue, StoreTime};
use distlock_core::{Capabilities, ErrorKind, Mode, Name, Ttl};

const SECOND: u64 = 1_000_000;

#[test]
fn the_written_form_is_pinned() {
    let any = Capabilities::new("test", Duration::from_millis(1)..=Duration::from_secs(60));
    let ttl = Ttl::new(Duration::from_secs(10), &any).unwrap();
    let mut claim = ClaimRequest::new(Name::new("x").unwrap(), Mode::Permit { limit: 2 }, ttl);
    claim.id = 0xab;
    claim.owner = "me".into();
    claim.label = "host:1".into();
    let now = StoreTime::new("boot", 5);
    let mut queue = LockQueue::new(&now);
    queue.enter(&claim, true, &now, 7).unwrap();
    assert_eq!(
        queue.to_json(),
        r#"{"version":1,"epoch":"boot","last":7,"keep_until_us":86410000005,"entries":[{"id":"000000000000000000000000000000ab","owner":"me","label":"host:1","mode":{"permit":{"limit":2}},"ttl_us":10000000,"joined_us":5,"expires_us":10000005,"number":7}]}"#
    );
}

#[test]
fn records_that_contradict_themselves_are_refused() {
    let entry = |id: &str, mode: &str, number: &str| {
        format!(
            r#"{{"id":"{id}","owner":"","label":"","mode":{mode},"ttl_us":1,"joined_us":1,"expires_us":2{number}}}"#
        )
    };
    let record = |version: u32, last: u64, entries: &[String]| {
        format!(
            r#"{{"version":{version},"epoch":"e","last":{last},"keep_until_us":86400000002,"entries":[{}]}}"#,
            entries.join(",")
        )
    };
    let (a, b) = (
        "0000000000000000000000000000000a",
        "0000000000000000000000000000000b",
    );
    let held = |number: u64| format!(r#","number":{number}"#);
    let good = record(
        1,
        3,
        &[
            entry(a, r#""exclusive""#, &held(3)),
            entry(b, r#""shared""#, ""),
        ],
    );
    LockQueue::from_json(&good).unwrap();
    for (fault, says, json) in [
        ("not json", "expected value", "hello".to_owned()),
        ("not a record", "missing field `version`", "{}".to_owned()),
        (
            "another's",
            "unknown field `owner`",
            r#"{"version":1,"owner":"somebody"}"#.to_owned(),
        ),
        (
            "no id",
            "is no id of 32",
            record(1, 3, &[entry("xyz", r#""exclusive""#, &held(3))]),
        ),
        (
            "a short id",
            "is no id of 32",
            record(1, 3, &[entry("a", r#""exclusive""#, &held(3))]),
        ),
        (
            "an id in capitals",
            "is no id of 32",
            record(
                1,
                3,
                &[entry(&a.to_uppercase(), r#""exclusive""#, &held(3))],
            ),
        ),
        (
            "two of one id",
            "has the id of another",
            record(
                1,
                3,
                &[
                    entry(a, r#""shared""#, &held(1)),
                    entry(a, r#""shared""#, &held(2)),
                ],
            ),
        ),
        (
            "one number twice",
            "has the number 3",
            record(
                1,
                3,
                &[
                    entry(a, r#""shared""#, &held(3)),
                    entry(b, r#""shared""#, &held(3)),
                ],
            ),
        ),
        (
            "a number above the last",
            "has the number 4",
            record(1, 3, &[entry(a, r#""shared""#, &held(4))]),
        ),
        (
            "number 0",
            "has the number 0",
            record(1, 3, &[entry(a, r#""shared""#, &held(0))]),
        ),
        (
            "two holders",
            "out of its turn",
            record(
                1,
                3,
                &[
                    entry(a, r#""exclusive""#, &held(2)),
                    entry(b, r#""exclusive""#, &held(3)),
                ],
            ),
        ),
        (
            "granted out of turn",
            "out of its turn",
            record(
                1,
                3,
                &[
                    entry(a, r#""exclusive""#, ""),
                    entry(b, r#""shared""#, &held(3)),
                ],
            ),
        ),
        (
            "first but not granted",
            "out of its turn",
            record(1, 3, &[entry(a, r#""exclusive""#, "")]),
        ),
        (
            "modes that do not mix",
            "cannot stand there",
            record(
                1,
                3,
                &[
                    entry(a, r#""exclusive""#, &held(3)),
                    entry(b, r#"{"permit":{"limit":1}}"#, ""),
                ],
            ),
        ),
        (
            "no permits",
            "cannot stand there",
            record(1, 3, &[entry(a, r#"{"permit":{"limit":0}}"#, "")]),
        ),
        (
            "numbers against the order of arrival",
            "has the number 2",
            record(
                1,
                3,
                &[
                    entry(a, r#""shared""#, &held(3)),
                    entry(b, r#""shared""#, &held(2)),
                ],
            ),
        ),
        (
            "more permits than the limit",
            "out of its turn",
            record(
                1,
                3,
                &[
                    entry(a, r#"{"permit":{"limit":1}}"#, &held(2)),
                    entry(b, r#"{"permit":{"limit":1}}"#, &held(3)),
                ],
            ),
        ),
        (
            "no TTL",
            "has times",
            good.replacen(r#""ttl_us":1"#, r#""ttl_us":0"#, 1),
        ),
        (
            "a TTL longer than until the expiry",
            "has times",
            good.replacen(r#""ttl_us":1"#, r#""ttl_us":3"#, 1),
        ),
        (
            "an expiry after the record may go",
            "has times",
            good.replacen(r#""expires_us":2"#, r#""expires_us":3"#, 1),
        ),
        (
            "an expiry past the end of time",
            "has times",
            good.replacen(
                r#""expires_us":2"#,
                r#""expires_us":18446744073709551615"#,
                1,
            ),
        ),
        (
            "an arrival after the record may go",
            "has times",
            good.replacen(r#""joined_us":1"#, r#""joined_us":86400000003"#, 1),
        ),
        (
            "kept for less than a day",
            "`keep_until_us` is",
            r#"{"version":1,"epoch":"e","last":0,"keep_until_us":86399999999,"entries":[]}"#
                .to_owned(),
        ),
        (
            "kept past the end of time",
            "`keep_until_us` is",
            good.replacen("86400000002", "18446744073709551615", 1),
        ),
        (
            "an unknown mode",
            "unknown variant",
            record(1, 3, &[entry(a, r#""upgradable""#, "")]),
        ),
        ("numbers used up", "`last` is", record(1, 1 << 53, &[])),
    ] {
        let error = LockQueue::from_json(&json).expect_err(fault);
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{fault}: {error}");
        assert!(error.to_string().contains(says), "{fault}: {error}");
    }
    let newer = LockQueue::from_json(record(2, 3, &[])).unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Misconfigured);
    assert!(newer.to_string().contains("version 2"), "{newer}");
}

#[test]
fn a_record_is_kept_for_a_day_after_the_last_that_could_stand_in_it() {
    const DAY: u64 = 24 * 60 * 60 * SECOND;
    let any = Capabilities::new(
        "test",
        Duration::from_millis(1)..=Duration::from_secs(366 * 24 * 3600),
    );
    let ttl = Ttl::new(Duration::from_secs(3600), &any).unwrap();
    let claim = ClaimRequest::new(Name::new("x").unwrap(), Mode::Exclusive, ttl);
    let now = StoreTime::new("boot", 0);
    let mut queue = LockQueue::new(&now);
    queue.enter(&claim, true, &now, 1).unwrap();
    let ends = 3600 * SECOND + DAY;
    assert!(!queue.is_forgettable(&StoreTime::new("boot", ends - 1)));
    assert!(queue.is_forgettable(&StoreTime::new("boot", ends)));
    assert!(queue.is_forgettable(&StoreTime::new("next boot", 1)));
    assert_eq!(queue.keep_until(), ends);
}
