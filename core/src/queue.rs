//! [`LockQueue`]: the meaning of a lock, as a pure state machine.

mod record;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::backend::ClaimRequest;
use crate::boot;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::Mode;
use crate::state::{Entry, LockState};
use crate::token::FencingToken;

/// How long a record outlives the last entry that could have stood in it. Whoever may still hold an
/// old view of it has been gone by then for a day.
const KEEP: u64 = micros(Duration::from_secs(24 * 60 * 60));

/// No time and no TTL is longer, so that a few can be added up without overflow.
const FAR: u64 = u64::MAX / 16;

/// One name's holders and waiters, and what each verb does to them.
///
/// No I/O, no clock, no async: each verb is told the time. This is the executable specification of
/// a lock. Stores that keep a record by compare-and-swap *run* it; stores with a language of their
/// own translate it; every store is tested against it.
///
/// # Rules
/// * Entries stand in the order of their arrival. An entry is granted when it is compatible with
///   *every* entry before it, granted or not, so nobody overtakes: exclusive, when it is first;
///   shared, when all before it are shared; permit, when fewer than `limit` stand before it.
/// * An entry has *one* expiry: when it was last heard from, plus its TTL. Being granted does not
///   change it. Expired entries are dropped by whichever verb comes next, and dropping one may
///   grant others.
/// * A grant's number is `max(last + 1, floor)`, where `last` is the greatest ever given here. The
///   floor is the wall clock in microseconds and is used for nothing else, so numbers grow even if
///   the record is lost.
/// * Expiry runs on another clock, [`StoreTime`], which all contenders share and nobody steps. A
///   new epoch of that clock (the machine has rebooted) frees all.
///
/// ```
/// use std::time::Duration;
/// use distlock_core::backend::ClaimRequest;
/// use distlock_core::queue::{LockQueue, Place, StoreTime};
/// use distlock_core::{Capabilities, Mode, Name, Ttl};
///
/// let second = Duration::from_secs(1);
/// let ttl = Ttl::new(10 * second, &Capabilities::new("doc", second..=60 * second))?;
/// let first = ClaimRequest::new(Name::new("x")?, Mode::Exclusive, ttl);
/// let second = ClaimRequest::new(Name::new("x")?, Mode::Exclusive, ttl);
///
/// let now = StoreTime::new("boot-1", 0);
/// let mut queue = LockQueue::new(&now);
/// assert!(matches!(queue.enter(&first, true, &now, 1)?.answer, Place::Held { number: 1 }));
/// assert!(matches!(queue.enter(&second, true, &now, 1)?.answer, Place::Waiting { .. }));
///
/// let left = queue.leave(first.id, &now, 1)?;
/// assert_eq!(left.granted, [second.id]);
/// # Ok::<(), distlock_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockQueue {
    epoch: Arc<str>,
    /// The greatest number ever given.
    last: u64,
    keep_until: u64,
    entries: Vec<Contender>,
}

/// A holder (with a number) or waiter (without).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contender {
    id: u128,
    owner: Arc<str>,
    label: Arc<str>,
    mode: Mode,
    ttl: u64,
    joined: u64,
    expires: u64,
    number: Option<u64>,
}

/// The time on a clock that all contenders of a store share and nobody steps: microseconds within
/// an epoch.
///
/// Two times compare only within one epoch. When the clock starts anew (the machine rebooted) it
/// gets a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTime {
    epoch: Arc<str>,
    micros: u64,
}

impl StoreTime {
    /// So many microseconds into this epoch; at most some 36,000 years.
    pub fn new(epoch: impl Into<Arc<str>>, micros: u64) -> Self {
        Self {
            epoch: epoch.into(),
            micros: micros.min(FAR),
        }
    }

    /// The time since this machine booted, suspension included, under the id of this boot: the
    /// clock for a store that only processes of one machine use. The same in all its containers.
    ///
    /// # Errors
    /// `Unsupported` on systems other than Linux and Android.
    pub fn since_boot() -> Result<Self> {
        let (since, boot_id) = boot::since_boot()?;
        Ok(Self {
            epoch: boot_id,
            micros: micros(since),
        })
    }

    /// Which run of the clock this is.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Microseconds since the epoch began.
    pub fn micros(&self) -> u64 {
        self.micros
    }
}

/// The wall clock in microseconds since 1970, for the floor of grant numbers and for nothing else.
#[expect(clippy::disallowed_methods, reason = "the one use of the wall clock")]
pub fn wall_clock_floor() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, micros)
}

/// What a verb answers, and whom it granted the name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// What became of the one that asked.
    pub answer: T,
    /// The ids that this verb granted the name, in order, so that the store can wake them. The one
    /// that asked may be among them.
    pub granted: Vec<u128>,
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// It holds the name, by the grant of this number.
    Held {
        /// The number of the grant.
        number: u64,
    },
    /// It waits.
    Waiting {
        /// When, if nobody says anything, the first of those before it expires.
        recheck: Duration,
    },
    /// It is not in the queue.
    Absent,
}

impl LockQueue {
    /// A queue in which nobody stands.
    pub fn new(now: &StoreTime) -> Self {
        Self {
            epoch: Arc::clone(&now.epoch),
            last: 0,
            keep_until: now.micros + KEEP,
            entries: Vec::new(),
        }
    }

    /// Joins the queue at its end, or refreshes the place that this id has there. With `wait` false
    /// the claim stays only if that grants it the name.
    ///
    /// # Errors
    /// `Conflict` if the mode does not mix with those in the queue; `Unexpected` if the numbers are
    /// used up.
    pub fn enter(
        &mut self,
        request: &ClaimRequest,
        wait: bool,
        now: &StoreTime,
        floor: u64,
    ) -> Result<Outcome<Place>> {
        let mut granted = self.expire(now, floor)?;
        let mode = request.mode;
        if let Some(other) = self
            .entries
            .iter()
            .find(|entry| !entry.mode.mixes_with(mode))
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "asked for as {mode}, in use as {}; use another name",
                    other.mode
                ),
            ));
        }
        let expires = match self.entries.iter_mut().find(|entry| entry.id == request.id) {
            Some(entry) => {
                entry.expires = now.micros + entry.ttl;
                entry.expires
            }
            None => self.join(request, now),
        };
        granted.extend(self.grant(floor)?);
        let mut answer = self.place(request.id, now);
        if !wait && matches!(answer, Place::Waiting { .. }) {
            self.entries.retain(|entry| entry.id != request.id);
            answer = Place::Absent;
            // If it stood here before, its going may be the turn of those behind it.
            granted.extend(self.grant(floor)?);
        } else {
            self.keep(expires);
        }
        Ok(Outcome { answer, granted })
    }

    /// Extends a hold by its TTL. A hold that has expired stays gone; a waiter is left as it is.
    ///
    /// # Errors
    /// `Unexpected` if the numbers are used up.
    pub fn renew(&mut self, id: u128, now: &StoreTime, floor: u64) -> Result<Outcome<Place>> {
        let granted = self.expire(now, floor)?;
        if let Some(holder) = self
            .entries
            .iter_mut()
            .find(|entry| entry.id == id && entry.number.is_some())
        {
            holder.expires = now.micros + holder.ttl;
            let expires = holder.expires;
            self.keep(expires);
        }
        Ok(Outcome {
            answer: self.place(id, now),
            granted,
        })
    }

    /// Leaves the queue, holder or waiter. The answer is where the claim stood until now.
    ///
    /// # Errors
    /// `Unexpected` if the numbers are used up.
    pub fn leave(&mut self, id: u128, now: &StoreTime, floor: u64) -> Result<Outcome<Place>> {
        self.drop_expired(now);
        let answer = self.place(id, now);
        self.entries.retain(|entry| entry.id != id);
        Ok(Outcome {
            answer,
            granted: self.grant(floor)?,
        })
    }

    /// Drops the expired entries and grants those whose turn that makes it.
    ///
    /// # Errors
    /// `Unexpected` if the numbers are used up.
    pub fn expire(&mut self, now: &StoreTime, floor: u64) -> Result<Vec<u128>> {
        self.drop_expired(now);
        self.grant(floor)
    }

    /// Where a claim stands, by the record as it is: an expired entry still stands until a verb
    /// drops it.
    pub fn place(&self, id: u128, now: &StoreTime) -> Place {
        let Some(at) = self.entries.iter().position(|entry| entry.id == id) else {
            return Place::Absent;
        };
        if let Some(number) = self.entries[at].number {
            return Place::Held { number };
        }
        let first_expiry = self.entries[..at].iter().map(|entry| entry.expires).min();
        let recheck = first_expiry.map_or(0, |expires| expires.saturating_sub(now.micros));
        Place::Waiting {
            recheck: Duration::from_micros(recheck),
        }
    }

    /// Takes the place at the end; until when.
    fn join(&mut self, request: &ClaimRequest, now: &StoreTime) -> u64 {
        let ttl = micros(request.ttl.get());
        let expires = now.micros + ttl;
        self.entries.push(Contender {
            id: request.id,
            owner: Arc::clone(&request.owner),
            label: Arc::clone(&request.label),
            mode: request.mode,
            ttl,
            joined: now.micros,
            expires,
            number: None,
        });
        expires
    }

    /// Whether all that stand in the queue are this owner's.
    pub(crate) fn is_all_of(&self, owner: &str) -> bool {
        self.entries.iter().all(|entry| &*entry.owner == owner)
    }

    /// Whether an entry has expired, so that the next verb will drop it.
    pub fn has_expired(&self, now: &StoreTime) -> bool {
        self.epoch != now.epoch && !self.entries.is_empty()
            || self.entries.iter().any(|entry| entry.expires <= now.micros)
    }

    /// Who holds the name and who waits, expired entries left out.
    pub fn state(&self, now: &StoreTime) -> LockState {
        let mut live = self.clone();
        live.drop_expired(now);
        let entry = |contender: &Contender| Entry {
            owner: Some(contender.owner.to_string()),
            label: Some(contender.label.to_string()),
            token: contender
                .number
                .and_then(|number| FencingToken::from_number(number).ok()),
            age: Some(Duration::from_micros(
                now.micros.saturating_sub(contender.joined),
            )),
            expires_in: Some(Duration::from_micros(
                contender.expires.saturating_sub(now.micros),
            )),
            ..Entry::new(contender.mode)
        };
        let (holders, waiters): (Vec<_>, Vec<_>) = live
            .entries
            .iter()
            .partition(|contender| contender.number.is_some());
        LockState::new(
            holders.into_iter().map(entry).collect(),
            waiters.into_iter().map(entry).collect(),
        )
    }

    /// The greatest number given so far; 0 if none was.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Whether a store may delete this record: nobody stands in it, and a day has passed since
    /// anybody could have. A request that was sent when it still stood must not find it gone and
    /// made anew.
    pub fn is_forgettable(&self, now: &StoreTime) -> bool {
        self.is_idle_for(KEEP, now)
    }

    /// Whether nobody stands in it, and nobody could have for so many microseconds.
    pub fn is_idle_for(&self, micros: u64, now: &StoreTime) -> bool {
        let ended = self.keep_until.saturating_sub(KEEP);
        self.epoch != now.epoch || ended.saturating_add(micros) <= now.micros
    }

    /// Until when the record must be kept, in microseconds of the epoch it was written in.
    pub fn keep_until(&self) -> u64 {
        self.keep_until
    }

    fn drop_expired(&mut self, now: &StoreTime) {
        if self.epoch != now.epoch {
            *self = Self {
                last: self.last,
                ..Self::new(now)
            };
        }
        self.entries.retain(|entry| entry.expires > now.micros);
    }

    fn grant(&mut self, floor: u64) -> Result<Vec<u128>> {
        let mut granted = Vec::new();
        for at in 0..self.entries.len() {
            if self.entries[at].number.is_none() && self.is_turn_of(at) {
                let number = (self.last + 1).max(floor);
                FencingToken::from_number(number)?;
                self.last = number;
                self.entries[at].number = Some(number);
                granted.push(self.entries[at].id);
            }
        }
        Ok(granted)
    }

    /// Whether the entry is compatible with every entry before it.
    fn is_turn_of(&self, at: usize) -> bool {
        let before = &self.entries[..at];
        match self.entries[at].mode {
            Mode::Exclusive => before.is_empty(),
            Mode::Shared => before.iter().all(|entry| entry.mode == Mode::Shared),
            Mode::Permit { limit } => before.len() < limit as usize,
        }
    }

    fn keep(&mut self, expires: u64) {
        self.keep_until = self.keep_until.max(expires + KEEP);
    }
}

/// A duration as the microseconds in which records count.
const fn micros(duration: Duration) -> u64 {
    let micros = duration.as_micros();
    if micros > FAR as u128 {
        FAR
    } else {
        micros as u64
    }
}
