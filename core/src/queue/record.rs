//! The written form of a [`LockQueue`]: JSON that a person can read, with a version.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Contender, KEEP, LockQueue};
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Mode;
use crate::token::FencingToken;

const VERSION: u32 = 1;
/// No record is kept beyond this, nor is any time in it, so that sums of a few cannot overflow.
const MAX_TIME: u64 = u64::MAX / 4;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    epoch: Arc<str>,
    last: u64,
    keep_until_us: u64,
    entries: Vec<EntryRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryRecord {
    id: String,
    owner: Arc<str>,
    label: Arc<str>,
    mode: Mode,
    ttl_us: u64,
    joined_us: u64,
    expires_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
}

/// Only the version, to tell a newer record from a damaged one.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl LockQueue {
    /// The record as JSON.
    pub fn to_json(&self) -> String {
        let record = Record {
            version: VERSION,
            epoch: Arc::clone(&self.epoch),
            last: self.last,
            keep_until_us: self.keep_until,
            entries: self.entries.iter().map(EntryRecord::from).collect(),
        };
        serde_json::to_string(&record).expect("plain fields with string keys always serialise")
    }

    /// The queue of a record written by [`to_json`](Self::to_json): its text, or whatever bytes
    /// stand in its place.
    ///
    /// # Errors
    /// `Misconfigured` if a newer version of this library wrote it; `Unexpected` if it is no such
    /// record or contradicts itself. Never repaired by guess: a lock that is read wrongly is a lock
    /// held twice.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self> {
        let json = json.as_ref();
        let Versioned { version } =
            serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
        if version != VERSION {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the record has version {version} and this library reads version {VERSION}; \
                     use one version of the library for one store"
                ),
            ));
        }
        let record: Record =
            serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
        let entries = record
            .entries
            .into_iter()
            .map(Contender::try_from)
            .collect::<Result<_>>()?;
        let queue = Self {
            epoch: record.epoch,
            last: record.last,
            keep_until: record.keep_until_us,
            entries,
        };
        queue.check().map_err(|fault| damaged(&fault))?;
        Ok(queue)
    }

    fn check(&self) -> Result<(), String> {
        if self.last > FencingToken::MAX_NUMBER {
            return Err(format!(
                "`last` is {}, above {}",
                self.last,
                FencingToken::MAX_NUMBER
            ));
        }
        if !(KEEP..=MAX_TIME).contains(&self.keep_until) {
            return Err(format!(
                "`keep_until_us` is {}, not within {KEEP} and {MAX_TIME}",
                self.keep_until
            ));
        }
        let mut ids = HashSet::new();
        let mut latest = 0;
        for (at, entry) in self.entries.iter().enumerate() {
            if !ids.insert(entry.id) {
                return Err(format!("entry {at} has the id of another"));
            }
            if !entry.mode.mixes_with(self.entries[0].mode)
                || entry.mode == (Mode::Permit { limit: 0 })
            {
                return Err(format!(
                    "entry {at} has a mode that cannot stand there: {}",
                    entry.mode
                ));
            }
            if entry.number.is_some() != self.is_turn_of(at) {
                return Err(format!("entry {at} is granted, or not, out of its turn"));
            }
            if let Some(number) = entry.number
                && !(latest + 1..=self.last).contains(&number)
            {
                return Err(format!(
                    "entry {at} has the number {number}; it is to be above {latest} and no more \
                     than `last`"
                ));
            }
            latest = entry.number.unwrap_or(latest);
            if !self.has_times_of(entry) {
                return Err(format!("entry {at} has times that this record cannot have"));
            }
        }
        Ok(())
    }

    /// Whether the entry's times are some that the verbs could have written.
    fn has_times_of(&self, entry: &Contender) -> bool {
        (1..=entry.expires).contains(&entry.ttl)
            && entry.joined <= self.keep_until
            && entry.expires.saturating_add(KEEP) <= self.keep_until
    }
}

impl From<&Contender> for EntryRecord {
    fn from(contender: &Contender) -> Self {
        Self {
            id: format!("{:032x}", contender.id),
            owner: Arc::clone(&contender.owner),
            label: Arc::clone(&contender.label),
            mode: contender.mode,
            ttl_us: contender.ttl,
            joined_us: contender.joined,
            expires_us: contender.expires,
            number: contender.number,
        }
    }
}

impl TryFrom<EntryRecord> for Contender {
    type Error = Error;

    fn try_from(record: EntryRecord) -> Result<Self> {
        let id = u128::from_str_radix(&record.id, 16)
            .ok()
            .filter(|id| format!("{id:032x}") == record.id)
            .ok_or_else(|| {
                damaged(&format!(
                    "`{}` is no id of 32 hexadecimal digits",
                    record.id
                ))
            })?;
        Ok(Self {
            id,
            owner: record.owner,
            label: record.label,
            mode: record.mode,
            ttl: record.ttl_us,
            joined: record.joined_us,
            expires: record.expires_us,
            number: record.number,
        })
    }
}

fn damaged(fault: &str) -> Error {
    Error::new(
        ErrorKind::Unexpected,
        format!(
            "the record is not one of this library's, or is damaged ({fault}); nothing was changed: \
             look at it, and delete it if nobody holds the lock"
        ),
    )
}
