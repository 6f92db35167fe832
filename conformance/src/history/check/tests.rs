mod oracle;
mod progress;
mod safety;

use std::time::Duration;

use distlock_core::Mode;

use super::super::event::{Effect, Event, What, Wish};
use super::super::{History, Terms};
use super::{Findings, Promise, check};

/// The TTL of all that is asked for here.
const TTL: Duration = Duration::from_secs(2);

/// These events, at so many milliseconds each.
fn history(events: &[(u64, What)]) -> History {
    let at = |(millis, what): &(u64, What)| Event {
        at: Duration::from_millis(*millis),
        what: what.clone(),
    };
    History::new(events.iter().map(at).collect())
}

fn fair() -> Terms {
    Terms {
        fair: true,
        ..Terms::default()
    }
}

fn checked(events: &[(u64, What)]) -> Findings {
    check(&history(events), &fair()).expect("a history that does not contradict itself")
}

fn broken(events: &[(u64, What)]) -> Vec<Promise> {
    let violations = checked(events).violations;
    violations.iter().map(|verdict| verdict.promise).collect()
}

fn invoked(op: u64, client: u32, mode: Mode) -> What {
    asked(op, client, mode, Wish::Wait)
}

fn asked(op: u64, client: u32, mode: Mode, wish: Wish) -> What {
    What::Invoked {
        op,
        client,
        name: "a".to_owned(),
        mode,
        wish,
        ttl: TTL,
    }
}

fn granted(op: u64, token: u64, valid_millis: u64) -> What {
    What::Granted {
        op,
        token,
        valid_for: Duration::from_millis(valid_millis),
    }
}

fn valid(op: u64, valid_millis: u64) -> What {
    What::Valid {
        op,
        valid_for: Duration::from_millis(valid_millis),
    }
}

fn wrote(op: u64, token: u64, accepted: bool) -> What {
    What::Wrote {
        op,
        name: "a".to_owned(),
        token,
        accepted,
    }
}

fn fault(effect: Effect) -> What {
    What::FaultBegan {
        fault: 1,
        kind: "kill".to_owned(),
        target: "server".to_owned(),
        effect,
    }
}

/// Asked for, granted, released: the whole of it between these times.
fn whole(op: u64, client: u32, mode: Mode, token: u64, from: u64, to: u64) -> Vec<(u64, What)> {
    vec![
        (from, invoked(op, client, mode)),
        (from + 10, granted(op, token, 1900)),
        (to - 10, What::Releasing { op }),
        (to, What::Released { op }),
    ]
}

fn together(parts: &[&[(u64, What)]]) -> Vec<(u64, What)> {
    parts.concat()
}
