use distlock_core::Mode;
use distlock_core::queue::{LockQueue, StoreTime};

use crate::event::{ClaimId, What};

/// Who stands in a record, in line.
#[derive(Debug, Default)]
pub(super) struct Line(Vec<Standing>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    claim: ClaimId,
    mode: Mode,
    /// When it expires, by the store's clock.
    expires: u64,
    /// That of its grant.
    number: Option<u64>,
}

impl Line {
    /// Claims are known by their labels, which are their ids.
    pub(super) fn of(queue: &LockQueue) -> Self {
        // At the beginning nothing has expired.
        let state = queue.state(&StoreTime::new("one", 0));
        let entries = state.holders.into_iter().chain(state.waiters);
        let standing = entries.filter_map(|entry| {
            let expires = entry.expires_in?.as_micros();
            Some(Standing {
                claim: entry.label?.parse::<u128>().ok()?.into(),
                mode: entry.mode,
                expires: u64::try_from(expires).unwrap_or(u64::MAX),
                number: entry.token.map(|token| token.number()),
            })
        });
        Self(standing.collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn shows(&self, claim: ClaimId) -> bool {
        self.0.iter().any(|standing| standing.claim == claim)
    }

    /// What has happened to the name if that line was made of this one, then. Of what does not
    /// stand any more, and had not expired, `is_leaving` says whether that was asked for.
    pub(super) fn change_to(
        &self,
        new: &Self,
        name: usize,
        made: &StoreTime,
        is_leaving: impl Fn(ClaimId) -> bool,
    ) -> Vec<What> {
        let mut happened = Vec::new();
        for old in self.0.iter().filter(|old| !old.goes_on_in(new, made)) {
            let claim = old.claim;
            if old.expires > made.micros() && is_leaving(claim) {
                let held = old.number.is_some();
                happened.push(What::Left { claim, held });
            }
            happened.push(What::Gone { claim, name });
        }
        let mut granted = Vec::new();
        for standing in &new.0 {
            let Standing { claim, mode, .. } = *standing;
            let before = self.0.iter().find(|old| old.claim == claim);
            let before = before.filter(|old| old.goes_on_in(new, made));
            match before {
                None => happened.push(What::Joined { claim, name, mode }),
                Some(old) if old.expires != standing.expires => {
                    happened.push(What::Refreshed { claim, name });
                }
                Some(_) => {}
            }
            if let Some(number) = standing.number
                && before.is_none_or(|old| old.number.is_none())
            {
                granted.push((number, claim));
            }
        }
        granted.sort_unstable();
        happened.extend(granted.into_iter().map(|(number, claim)| What::Granted {
            claim,
            name,
            number,
        }));
        happened
    }
}

impl Standing {
    /// Whether it still stands there. By another grant it is another one; and if it had expired and
    /// was heard of all the same, it has come again.
    fn goes_on_in(&self, new: &Line, made: &StoreTime) -> bool {
        let had_expired = self.expires <= made.micros();
        new.0.iter().any(|standing| {
            standing.claim == self.claim
                && (self.number.is_none() || standing.number == self.number)
                && !(had_expired && standing.expires != self.expires)
        })
    }
}
