//! Records that are damaged in every place, in every way: each is refused, or is as good as one
//! that was written so.

use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::queue::{LockQueue, Place, StoreTime};
use distlock_core::{Capabilities, ErrorKind, LockState, Mode, Name, Ttl};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const SECOND: u64 = 1_000_000;

/// Records with holders and waiters of every kind.
pub(crate) fn samples() -> Vec<LockQueue> {
    let permit = Mode::Permit { limit: 2 };
    [
        &[][..],
        &[Mode::Exclusive, Mode::Shared, Mode::Exclusive],
        &[Mode::Shared, Mode::Shared, Mode::Exclusive, Mode::Shared],
        &[permit, permit, permit],
    ]
    .map(sample)
    .into()
}

fn sample(modes: &[Mode]) -> LockQueue {
    let mut queue = LockQueue::new(&StoreTime::new("boot", 0));
    for (at, mode) in (3..).zip(modes) {
        let now = StoreTime::new("boot", at * SECOND);
        queue.enter(&claim(*mode), true, &now, 10 * at).unwrap();
    }
    queue
}

fn claim(mode: Mode) -> ClaimRequest {
    let any = Capabilities::new("test", Duration::from_millis(1)..=Duration::from_secs(60));
    let ttl = Ttl::new(Duration::from_secs(10), &any).unwrap();
    ClaimRequest::new(Name::new("x").unwrap(), mode, ttl)
}

/// What is not a record of this library at all.
pub(crate) fn foreign() -> Vec<String> {
    let mut foreign: Vec<_> = [
        "",
        " ",
        "\0",
        "hello",
        "null",
        "true",
        "1",
        "\"1\"",
        "[]",
        "{}",
        "[1]",
        r#"[1,"boot",0,0,[]]"#,
        r#"{"version":1}"#,
        r#"{"version":"1"}"#,
        r#"{"version":-1}"#,
        r#"{"version":1,"owner":"somebody","expires":1700000000}"#,
        r#"{"version":1,"version":1}"#,
        r#"{"locked_by":"job-7"}"#,
        "---\nversion: 1\n",
        "\u{feff}{\"version\":1}",
    ]
    .map(str::to_owned)
    .into();
    let deep = 100_000;
    foreign.push("[".repeat(deep));
    foreign.push(format!(
        r#"{{"version":1,"entries":{}{}}}"#,
        "[".repeat(deep),
        "]".repeat(deep)
    ));
    foreign
}

/// Reads what may be damaged: `None` if it is refused, with an error that says what to do.
fn read(json: impl AsRef<[u8]>) -> Option<LockQueue> {
    let text = String::from_utf8_lossy(json.as_ref());
    match LockQueue::from_json(&json) {
        Ok(queue) => {
            behaves(&queue, &text);
            Some(queue)
        }
        Err(error) => {
            let advice = match error.kind() {
                ErrorKind::Unexpected => "nothing was changed: look at it, and delete it if",
                ErrorKind::Misconfigured => "use one version of the library for one store",
                other => panic!("{other:?} for {text}"),
            };
            assert!(error.to_string().contains(advice), "{error}");
            None
        }
    }
}

/// A queue that was read keeps the promises, whoever asks and whenever.
fn behaves(queue: &LockQueue, json: &str) {
    assert_eq!(&LockQueue::from_json(queue.to_json()).unwrap(), queue);
    for seconds in [0, 12, 14, 1 << 40] {
        let now = StoreTime::new("boot", seconds * SECOND);
        for mode in [
            Mode::Exclusive,
            Mode::Shared,
            Mode::Permit { limit: 1 },
            Mode::Permit { limit: 2 },
        ] {
            let mut queue = queue.clone();
            let last = queue.last();
            let newcomer = claim(mode);
            let entered = queue.enter(&newcomer, true, &now, 0);
            assert_excludes(&queue.state(&now), json);
            let Ok(entered) = entered else { continue };
            for id in &entered.granted {
                let place = queue.place(*id, &now);
                assert!(
                    matches!(place, Place::Held { number } if number > last),
                    "{place:?} after {last}: {json}"
                );
            }
            queue.renew(newcomer.id, &now, 0).unwrap();
            queue.leave(newcomer.id, &now, 0).unwrap();
            assert_excludes(&queue.state(&now), json);
            assert_eq!(queue.place(newcomer.id, &now), Place::Absent);
        }
    }
}

fn assert_excludes(state: &LockState, json: &str) {
    let holders = state.holders.len();
    for holder in &state.holders {
        let most = match holder.mode {
            Mode::Exclusive => 1,
            Mode::Permit { limit } => limit as usize,
            _ => usize::MAX,
        };
        assert!(
            holders <= most && holder.mode.mixes_with(state.holders[0].mode),
            "P1: {state:?} of {json}"
        );
    }
    let tokens: Vec<_> = state.holders.iter().map(|holder| holder.token).collect();
    assert!(tokens.iter().all(Option::is_some), "P2: {state:?}");
    assert!(tokens.is_sorted_by(|a, b| a < b), "P2: {state:?}");
}

/// Every value within this one, by its JSON pointer.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                places(value, &format!("{here}/{key}"), found);
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                places(value, &format!("{here}/{at}"), found);
            }
        }
        _ => {}
    }
}

fn places_of(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    places(value, "", &mut found);
    found
}

fn parsed(queue: &LockQueue) -> Value {
    serde_json::from_str(&queue.to_json()).unwrap()
}

/// What may stand there as well as what was written: text that only people read, the clock's run,
/// an earlier arrival, and a queue in which nobody stands.
fn is_as_good(place: &str, value: &Value) -> bool {
    let field = place.rsplit('/').next().unwrap();
    match field {
        "epoch" | "owner" | "label" => value.is_string(),
        "joined_us" => *value == json!(0),
        "entries" => *value == json!([]),
        _ => false,
    }
}

#[test]
fn what_is_foreign_is_refused() {
    for text in foreign() {
        assert_eq!(read(&text), None, "{}", &text[..text.len().min(60)]);
    }
}

#[test]
fn a_newer_version_is_told_from_damage() {
    for version in ["2", "4294967295"] {
        let json = format!(r#"{{"version":{version},"anything":[{{}}]}}"#);
        let error = LockQueue::from_json(&json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().contains(version), "{error}");
    }
}

#[test]
fn every_value_is_checked() {
    let values = [
        json!(null),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(u64::MAX / 2),
        json!(""),
        json!("exclusive "),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"permit": {"limit": 0}}),
        json!({"permit": {"limit": 2, "more": 1}}),
    ];
    for queue in samples() {
        let whole = parsed(&queue);
        for place in places_of(&whole) {
            for value in &values {
                let mut damaged = whole.clone();
                *damaged.pointer_mut(&place).unwrap() = value.clone();
                if damaged != whole {
                    let accepted = read(damaged.to_string()).is_some();
                    assert_eq!(accepted, is_as_good(&place, value), "{place}: {damaged}");
                }
            }
        }
    }
}

/// Each object of a record, with each of its fields.
fn objects(whole: &Value) -> impl Iterator<Item = (String, Map<String, Value>)> {
    places_of(whole).into_iter().filter_map(|place| {
        let object = whole.pointer(&place).unwrap().as_object()?.clone();
        Some((place, object))
    })
}

#[test]
fn every_field_is_needed_and_no_other_is_known() {
    for queue in samples() {
        let whole = parsed(&queue);
        for (place, object) in objects(&whole) {
            let mut damaged = whole.clone();
            damaged.pointer_mut(&place).unwrap()["more"] = json!(1);
            assert_eq!(read(damaged.to_string()), None, "{damaged}");
            for key in object.keys() {
                let mut damaged = whole.clone();
                let fields = damaged.pointer_mut(&place).unwrap();
                fields.as_object_mut().unwrap().remove(key);
                assert_eq!(read(damaged.to_string()), None, "{damaged}");
            }
        }
    }
}

#[test]
fn every_field_stands_once() {
    for queue in samples() {
        let json = queue.to_json();
        for (_, object) in objects(&parsed(&queue)) {
            for (key, value) in object {
                let field = format!(r#""{key}":"#);
                let again = format!("{field}{value},{field}");
                let damaged = json.replacen(&field, &again, 1);
                assert_ne!(damaged, json);
                assert_eq!(read(&damaged), None, "{damaged}");
            }
        }
    }
}

#[test]
fn a_part_of_a_record_is_none() {
    for queue in samples() {
        let json = queue.to_json();
        for end in 0..json.len() {
            assert_eq!(read(&json[..end]), None, "{}", &json[..end]);
            assert_eq!(read(&json[end + 1..]), None, "{}", &json[end + 1..]);
        }
        assert_eq!(read(format!("{json}{json}")), None);
    }
}

#[test]
fn every_bit_may_flip() {
    for queue in samples() {
        let json = queue.to_json();
        for at in 0..json.len() {
            for bit in 0..8 {
                let mut bytes = json.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let is_text = str::from_utf8(&bytes).is_ok();
                assert!(read(&bytes).is_none() || is_text, "{bytes:?}");
            }
        }
    }
}

/// A value that a damaged or foreign record may hold anywhere.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..100 * SECOND).prop_map(Value::from),
        (0..5_u64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[0-9a-f]{32}".prop_map(Value::from),
        prop_oneof![Just(json!("exclusive")), Just(json!("shared"))],
        (0..4_u32).prop_map(|limit| json!({"permit": {"limit": limit}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn several_values_may_change(
        sample in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any_value()), 1..4),
    ) {
        let mut damaged = parsed(sample.get(&samples()));
        for (place, value) in changes {
            let places = places_of(&damaged);
            *damaged.pointer_mut(&places[place.index(places.len())]).unwrap() = value;
        }
        read(damaged.to_string());
    }

    #[test]
    fn anything_may_stand_there(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(read(bytes), None);
    }
}
