use std::time::Duration;

use distlock_core::{Entry, FencingToken, LockState, Result};
use redis::Value;

use crate::error::strange;
use crate::queue::{Details, text, to_mode, whole};

/// What the server showed of a name.
pub(crate) fn of(shown: &Value) -> Result<LockState> {
    let Value::Array(shown) = shown else {
        return Err(strange("no list"));
    };
    let [now, standing @ ..] = shown.as_slice() else {
        return Err(strange("an empty list"));
    };
    let now = moment(now)?;
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

fn moment(value: &Value) -> Result<u64> {
    match value {
        Value::Int(moment) => u64::try_from(*moment).map_err(|_| strange("a negative number")),
        _ => Err(strange("no number")),
    }
}

struct Standing {
    /// Of the grant, or else of the arrival: both are numbered from one counter.
    order: u64,
    entry: Entry,
}

impl Standing {
    /// Reads when it expires, and "number arrival ttl mode channel details".
    fn of(standing: &Value, now: u64) -> Result<Self> {
        let Value::Array(parts) = standing else {
            return Err(strange("no entry"));
        };
        let [expires, known] = parts.as_slice() else {
            return Err(strange("an entry of something else"));
        };
        let words: Vec<_> = text(known)?.splitn(6, ' ').collect();
        let [number, arrival, _ttl, mode, _channel, details] = words.as_slice() else {
            return Err(strange("half an entry"));
        };
        let (number, arrival) = (whole(number)?, whole(arrival)?);
        let details: Details<'_> =
            serde_json::from_str(details).map_err(|_| strange("details that are none"))?;
        let since = |earlier: u64, later: u64| Duration::from_micros(later.saturating_sub(earlier));
        let mut entry = Entry::new(to_mode(mode)?);
        entry.owner = Some(details.owner.into_owned());
        entry.label = Some(details.label.into_owned());
        if number > 0 {
            entry.token = Some(FencingToken::from_number(number)?);
        }
        entry.age = Some(since(arrival, now));
        entry.expires_in = Some(since(now, moment(expires)?));
        let order = number.max(arrival);
        Ok(Self { order, entry })
    }
}
