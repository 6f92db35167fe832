use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::{Deadline, Error, ErrorKind, Mode, Moment, Result};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::error::strange;
use crate::keys::Keys;
use crate::link::{Answered, Link};
use crate::script::{ENTER, LEAVE, RENEW, Script};

/// One claim's view of its name's queue on the server.
#[derive(Debug)]
pub(crate) struct Queue {
    link: Arc<Link>,
    keys: Keys,
    id: String,
    mode: Mode,
    /// What the server keeps of it: "ttl mode channel details".
    request: String,
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
            mode: request.mode,
            request: format!(
                "{:016} {} {} {}",
                request.ttl.get().as_micros(),
                to_text(request.mode)?,
                link.channel(),
                serde_json::to_string(&details).expect("text always serialises"),
            ),
        })
    }

    /// Takes the place at the end, or refreshes the one that the claim has.
    pub(crate) async fn enter(&self, wait: bool, by: Deadline) -> Result<Found> {
        let wait = if wait { "1" } else { "0" };
        self.ask(&ENTER, &[&self.id, &self.request, wait], by).await
    }

    pub(crate) async fn renew(&self, by: Deadline) -> Result<Found> {
        self.ask(&RENEW, &[&self.id], by).await
    }

    /// Leaves; `unsure`, so that what comes late of this claim comes to nothing.
    pub(crate) async fn leave(&self, unsure: bool, by: Deadline) -> Result<Found> {
        let unsure = if unsure { "1" } else { "0" };
        self.ask(&LEAVE, &[&self.id, unsure], by).await
    }

    async fn ask(
        &self,
        script: &'static Script,
        arguments: &[&str],
        by: Deadline,
    ) -> Result<Found> {
        let invocation = script.invocation(&self.keys, arguments);
        let Answered { value, sent } = self.link.run(invocation, by).await?;
        let place = self.place(text(&value)?)?;
        Ok(Found { place, sent })
    }

    fn place(&self, answer: &str) -> Result<Place> {
        let words: Vec<_> = answer.split(' ').collect();
        match words.as_slice() {
            ["absent"] => Ok(Place::Absent),
            ["held", number] => Ok(Place::Held {
                number: whole(number)?,
            }),
            ["waiting", arrival, recheck] => Ok(Place::Waiting {
                arrival: whole(arrival)?,
                recheck: Duration::from_micros(whole(recheck)?),
            }),
            ["conflict", other] => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "asked for as {}, in use as {}; use another name",
                    self.mode,
                    to_mode(other)?
                ),
            )),
            _ => Err(strange("something else")),
        }
    }
}

pub(crate) fn text(value: &Value) -> Result<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).map_err(|_| strange("no text")),
        _ => Err(strange("no text")),
    }
}

pub(crate) fn whole(text: &str) -> Result<u64> {
    text.parse().map_err(|_| strange("no number"))
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
