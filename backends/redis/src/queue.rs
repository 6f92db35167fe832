use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::backend::ClaimRequest;
use distlock_core::{Deadline, Error, ErrorKind, Mode, Moment, Result};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::connection::Answered;
use crate::error::strange;
use crate::keys::Keys;
use crate::link::Link;
use crate::request::{Asker, Request, Verb};

/// One claim's view of its name's queue on the server.
#[derive(Debug)]
pub(crate) struct Queue {
    link: Arc<Link>,
    mode: Mode,
    asker: Arc<Asker>,
}

/// What `inspect` shows of a claim, kept by the server unread.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Details<'a> {
    pub(crate) owner: Cow<'a, str>,
    pub(crate) label: Cow<'a, str>,
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
            owner: Cow::Borrowed(&*request.owner),
            label: Cow::Borrowed(&*request.label),
        };
        Ok(Self {
            link: Arc::clone(link),
            mode: request.mode,
            asker: Arc::new(Asker {
                keys: Keys::of(&request.name),
                id: format!("{:032x}", request.id),
                entry: format!(
                    "{:016} {} {} {}",
                    request.ttl.get().as_micros(),
                    to_text(request.mode)?,
                    link.channel(),
                    serde_json::to_string(&details).expect("text always serialises"),
                ),
            }),
        })
    }

    /// Takes the place at the end, or refreshes the one that the claim has.
    pub(crate) async fn enter(&self, wait: bool, by: Deadline) -> Result<Found> {
        self.ask(Verb::Enter { wait }, by).await
    }

    pub(crate) async fn renew(&self, by: Deadline) -> Result<Found> {
        self.ask(Verb::Renew, by).await
    }

    /// Leaves; `unsure`, so that what comes late of this claim comes to nothing.
    pub(crate) async fn leave(&self, unsure: bool, by: Deadline) -> Result<Found> {
        self.ask(Verb::Leave { unsure }, by).await
    }

    async fn ask(&self, verb: Verb, by: Deadline) -> Result<Found> {
        let asker = Arc::clone(&self.asker);
        let Answered { value, sent } = self.link.ask(&Request { verb, asker }, by).await?;
        let place = self.place(text(&value)?)?;
        Ok(Found { place, sent })
    }

    fn place(&self, answer: &str) -> Result<Place> {
        let mut words = answer.split(' ');
        let mut next = || words.next();
        match [next(), next(), next(), next()] {
            [Some("absent"), None, ..] => Ok(Place::Absent),
            [Some("held"), Some(number), None, _] => Ok(Place::Held {
                number: whole(number)?,
            }),
            [Some("waiting"), Some(arrival), Some(recheck), None] => Ok(Place::Waiting {
                arrival: whole(arrival)?,
                recheck: Duration::from_micros(whole(recheck)?),
            }),
            [Some("conflict"), Some(other), None, _] => Err(Error::new(
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

fn to_text(mode: Mode) -> Result<Cow<'static, str>> {
    match mode {
        Mode::Exclusive => Ok("exclusive".into()),
        Mode::Shared => Ok("shared".into()),
        Mode::Permit { limit } => Ok(format!("permit:{limit}").into()),
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
