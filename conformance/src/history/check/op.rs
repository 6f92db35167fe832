use std::time::Duration;

use distlock_core::Mode;

use super::super::event::{What, Wish};
use super::facts::{Facts, Malformed};

/// Where something stands in the history, and when it happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stamp {
    pub(super) at: Duration,
    pub(super) event: usize,
}

/// An acquisition and its guard.
#[derive(Debug)]
pub(super) struct Op<'a> {
    pub(super) id: u64,
    pub(super) client: u32,
    pub(super) name: &'a str,
    pub(super) mode: Mode,
    pub(super) wish: Wish,
    pub(super) ttl: Duration,
    pub(super) invoked: Stamp,
    pub(super) answered: Option<(Stamp, Answer<'a>)>,
    /// Looks at the guard, and how long it was then going to be valid.
    pub(super) valid: Vec<(Stamp, Duration)>,
    pub(super) over: Option<Stamp>,
    pub(super) lost: Option<(Stamp, Loss)>,
    pub(super) releasing: Option<Stamp>,
    pub(super) released: Option<(Stamp, Release)>,
    pub(super) dropped: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer<'a> {
    Granted { token: u64 },
    Refused,
    TimedOut,
    Failed(&'a str),
    Abandoned,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loss {
    Revoked,
    Expired,
    MaxHold,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Release {
    Done,
    NotHeld,
    Unknown,
}

impl<'a> Op<'a> {
    /// What begins so, if anything does.
    pub(super) fn invoked(invoked: Stamp, what: &'a What) -> Option<Self> {
        let What::Invoked {
            op,
            client,
            name,
            mode,
            wish,
            ttl,
        } = what
        else {
            return None;
        };
        Some(Self {
            id: *op,
            client: *client,
            name,
            mode: *mode,
            wish: *wish,
            ttl: *ttl,
            invoked,
            answered: None,
            valid: Vec::new(),
            over: None,
            lost: None,
            releasing: None,
            released: None,
            dropped: None,
        })
    }

    /// Takes note of what became of it.
    pub(super) fn note(&mut self, stamp: Stamp, what: &'a What) -> Result<(), Malformed> {
        let answer = match what {
            What::Granted { token, .. } => Some(Answer::Granted { token: *token }),
            What::Refused { .. } => Some(Answer::Refused),
            What::TimedOut { .. } => Some(Answer::TimedOut),
            What::Failed { error, .. } => Some(Answer::Failed(error)),
            What::Abandoned { .. } => Some(Answer::Abandoned),
            _ => None,
        };
        if let Some(answer) = answer {
            if self.answered.is_some() {
                return Err(Malformed::at(
                    stamp.event,
                    "the operation was answered before",
                ));
            }
            self.answered = Some((stamp, answer));
        } else if self.granted().is_none() {
            return Err(Malformed::at(stamp.event, "the operation has no guard"));
        }
        match what {
            What::Granted { valid_for, .. } | What::Valid { valid_for, .. } => {
                self.valid.push((stamp, stamp.at + *valid_for));
            }
            What::Over { .. } => {
                self.over.get_or_insert(stamp);
            }
            What::Lost { revoked: true, .. } => self.is_lost(stamp, Loss::Revoked),
            What::Lost { .. } => self.is_lost(stamp, Loss::Expired),
            What::HeldLongEnough { .. } => self.is_lost(stamp, Loss::MaxHold),
            What::Releasing { .. } => self.releasing = Some(stamp),
            What::Released { .. } => self.released = Some((stamp, Release::Done)),
            What::NotHeld { .. } => self.released = Some((stamp, Release::NotHeld)),
            What::ReleaseFailed { .. } => self.released = Some((stamp, Release::Unknown)),
            What::Dropped { .. } => self.dropped = Some(stamp),
            _ => {}
        }
        Ok(())
    }

    fn is_lost(&mut self, stamp: Stamp, loss: Loss) {
        self.lost.get_or_insert((stamp, loss));
    }

    /// When it was known to be granted, and its token.
    pub(super) fn granted(&self) -> Option<(Stamp, u64)> {
        match self.answered {
            Some((stamp, Answer::Granted { token })) => Some((stamp, token)),
            _ => None,
        }
    }

    /// The latest time of which it is known that the store had the hold then or later, and what
    /// shows it.
    pub(super) fn proven(&self, facts: &Facts<'_>) -> Option<Stamp> {
        let released = match (self.releasing, self.released) {
            // One whose first answer is lost is asked for again, and told as done whatever that
            // finds: nothing, if the store has forgotten.
            (Some(releasing), Some((released, Release::Done)))
                if facts.was_well(self.client, releasing.at, released.at)
                    || !facts.may_have_forgotten(self.invoked.at, released.at) =>
            {
                Some(releasing)
            }
            _ => None,
        };
        // A guard is valid for no longer than a TTL from when the store last heard of it.
        let heard = |(stamp, until): &(Stamp, Duration)| Stamp {
            at: until.saturating_sub(self.ttl),
            event: stamp.event,
        };
        let heard = self.valid.iter().map(heard).max_by_key(|stamp| stamp.at);
        released
            .into_iter()
            .chain(heard)
            .max_by_key(|stamp| stamp.at)
    }

    /// When its user let go of it, or was told to, or was killed.
    pub(super) fn let_go(&self, facts: &Facts<'_>) -> Option<Duration> {
        let lost = self.lost.map(|(stamp, _)| stamp);
        let ends = [
            self.releasing,
            self.dropped,
            lost,
            facts.killed(self.client),
        ];
        ends.into_iter().flatten().map(|stamp| stamp.at).min()
    }
}
