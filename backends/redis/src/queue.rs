use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::{Deadline, Error, ErrorKind, Mode, Moment, Result};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::error::strange;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{ENTER, Invocation, LEAVE, RENEW};

/// One claim's view of its name's queue on the server.
#[derive(Debug)]
pub(crate) struct Queue {
    link: Arc<Link>,
    keys: Keys,
    id: String,
    ttl: String,
    mode: String,
    details: String,
}

/// What `inspect` shows of a claim, kept by the server unread.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Details {
    pub(crate) owner: String,
    pub(crate) label: String,
}

/// Where a claim stands, and an instant before the request that told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) sent: Moment,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Held { number: u64 },
    Waiting { arrival: u64, recheck: Duration },
    Absent,
}

impl Queue {
    pub(crate) fn new(link: &Arc<Link>, request: &ClaimRequest) -> Result<Self> {
        let details = Details {
            owner: request.owner.to_string(),
            label: request.label.to_string(),
        };
        Ok(Self {
            link: Arc::clone(link),
            keys: Keys::of(&request.name),
            id: format!("{:032x}", request.id),
            ttl: request.ttl.get().as_micros().to_string(),
            mode: to_text(request.mode)?,
            details: serde_json::to_string(&details).expect("text always serialises"),
        })
    }

    /// Takes the place at the end, or refreshes the one that the claim has.
    pub(crate) async fn enter(&self, wait: bool, by: Deadline) -> Result<Found> {
        let wait = if wait { "1" } else { "0" };
        let channel = self.link.channel();
        let arguments = [
            &self.id,
            &self.ttl,
            &self.mode,
            wait,
            channel,
            &self.details,
        ];
        self.ask(ENTER.invocation(&self.keys, &arguments), by).await
    }

    pub(crate) async fn renew(&self, by: Deadline) -> Result<Found> {
        self.ask(RENEW.invocation(&self.keys, &[&self.id, &self.ttl]), by)
            .await
    }

    /// Leaves; `unsure`, so that what comes late of this claim comes to nothing.
    pub(crate) async fn leave(&self, unsure: bool, by: Deadline) -> Result<Found> {
        let unsure = if unsure { "1" } else { "0" };
        self.ask(LEAVE.invocation(&self.keys, &[&self.id, unsure]), by)
            .await
    }

    async fn ask(&self, invocation: Invocation, by: Deadline) -> Result<Found> {
        let answered = self.link.run(invocation, by).await?;
        let place = self.place(&answered.value)?;
        let sent = answered.sent;
        Ok(Found { place, sent })
    }

    fn place(&self, value: &Value) -> Result<Place> {
        let Value::Array(words) = value else {
            return Err(strange("no list"));
        };
        match words.as_slice() {
            [Value::BulkString(word)] if word == b"absent" => Ok(Place::Absent),
            [Value::BulkString(word), number] if word == b"held" => Ok(Place::Held {
                number: whole(number)?,
            }),
            [Value::BulkString(word), arrival, recheck] if word == b"waiting" => {
                Ok(Place::Waiting {
                    arrival: whole(arrival)?,
                    recheck: Duration::from_micros(whole(recheck)?),
                })
            }
            [Value::BulkString(word), Value::BulkString(other)] if word == b"conflict" => {
                let other = to_mode(&String::from_utf8_lossy(other))?;
                let mode = to_mode(&self.mode)?;
                Err(Error::new(
                    ErrorKind::Conflict,
                    format!("asked for as {mode}, in use as {other}; use another name"),
                ))
            }
            _ => Err(strange("a list of something else")),
        }
    }
}

pub(crate) fn whole(value: &Value) -> Result<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| strange("a negative number")),
        _ => Err(strange("no number")),
    }
}

fn to_text(mode: Mode) -> Result<String> {
    match mode {
        Mode::Exclusive => Ok("exclusive".to_owned()),
        Mode::Shared => Ok("shared".to_owned()),
        Mode::Permit { limit } => Ok(format!("permit:{limit}")),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the redis store has no {mode} locks"),
        )),
    }
}

pub(crate) fn to_mode(text: &str) -> Result<Mode> {
    let mode = match text {
        "exclusive" => Some(Mode::Exclusive),
        "shared" => Some(Mode::Shared),
        _ => text
            .strip_prefix("permit:")
            .and_then(|limit| limit.parse().ok())
            .map(|limit| Mode::Permit { limit }),
    };
    mode.ok_or_else(|| strange("a mode that is none"))
}
