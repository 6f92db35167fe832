use std::time::Duration;

use distlock_core::{Entry, FencingToken, LockState, Result};
use redis::Value;

use crate::error::strange;
use crate::queue::{Details, to_mode, whole};

/// What the server showed of a name.
pub(crate) fn of(shown: &Value) -> Result<LockState> {
    let Value::Array(shown) = shown else {
        return Err(strange("no list"));
    };
    let [now, standing @ ..] = shown.as_slice() else {
        return Err(strange("an empty list"));
    };
    let now = whole(now)?;
    let mut standing = standing
        .iter()
        .map(|standing| Standing::of(standing, now))
        .collect::<Result<Vec<_>>>()?;
    standing.sort_by_key(|standing| standing.order);
    let (holders, waiters) = standing
        .into_iter()
        .map(|standing| standing.entry)
        .partition(|entry: &Entry| entry.token.is_some());
    Ok(LockState::new(holders, waiters))
}

struct Standing {
    /// Of the grant, or else of the arrival: both are numbered from one counter.
    order: u64,
    entry: Entry,
}

impl Standing {
    /// Reads when it expires, and "number mode arrival channel details".
    fn of(standing: &Value, now: u64) -> Result<Self> {
        let Value::Array(parts) = standing else {
            return Err(strange("no entry"));
        };
        let [expires, Value::BulkString(known)] = parts.as_slice() else {
            return Err(strange("an entry of something else"));
        };
        let known = std::str::from_utf8(known).map_err(|_| strange("no text"))?;
        let words: Vec<_> = known.splitn(5, ' ').collect();
        let [number, mode, arrival, _channel, details] = words.as_slice() else {
            return Err(strange("half an entry"));
        };
        let count = |text: &str| text.parse().map_err(|_| strange("no number"));
        let (number, arrival) = (count(number)?, count(arrival)?);
        let details: Details =
            serde_json::from_str(details).map_err(|_| strange("details that are none"))?;
        let since = |earlier: u64, later: u64| Duration::from_micros(later.saturating_sub(earlier));
        let mut entry = Entry::new(to_mode(mode)?);
        entry.owner = Some(details.owner);
        entry.label = Some(details.label);
        if number > 0 {
            entry.token = Some(FencingToken::from_number(number)?);
        }
        entry.age = Some(since(arrival, now));
        entry.expires_in = Some(since(now, whole(expires)?));
        let order = number.max(arrival);
        Ok(Self { order, entry })
    }
}
