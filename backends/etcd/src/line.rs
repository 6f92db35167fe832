use distlock_core::backend::ClaimRequest;
use distlock_core::{Entry, Error, ErrorKind, FencingToken, LockState, Mode, Result};
use etcd_client::KeyValue;
use serde::{Deserialize, Serialize};

/// Those who stand under one name, in the order in which the server saw them.
///
/// An entry holds the name once all that stand before it allow for that. Nobody takes a place but
/// the last, so what is once allowed stays so.
#[derive(Debug)]
pub(crate) struct Line(Vec<Standing>);

/// One who holds or waits.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) key: Vec<u8>,
    /// The revision that made it, and the number of its grant.
    pub(crate) number: i64,
    pub(crate) details: Details,
}

/// The value of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) mode: Mode,
    owner: String,
    label: String,
}

/// Where an entry stands.
#[derive(Debug)]
pub(crate) struct Position {
    pub(crate) number: i64,
    pub(crate) ahead: Ahead,
}

/// Those who stand before an entry, oldest first: key, number and mode.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Vec<(Vec<u8>, i64, Mode)>);

impl Line {
    pub(crate) fn of(entries: &[KeyValue]) -> Result<Self> {
        let standing = entries.iter().map(Standing::of);
        let mut line: Vec<_> = standing.collect::<Result<_>>()?;
        line.sort_by_key(|standing| standing.number);
        Ok(Self(line))
    }

    /// Where the entry of this key stands.
    pub(crate) fn position(&self, key: &[u8]) -> Option<Position> {
        let place = self.0.iter().position(|standing| standing.key == key)?;
        Some(Position {
            number: self.0[place].number,
            ahead: Ahead::of(&self.0[..place]),
        })
    }

    /// Whether an entry of this mode would hold the name at once.
    pub(crate) fn admits(&self, mode: Mode) -> bool {
        Ahead::of(&self.0).allows(mode)
    }

    /// An error if whoever stands there uses the name in another way.
    pub(crate) fn expect_mixes_with(&self, mode: Mode) -> Result<()> {
        match self.0.first().map(|standing| standing.details.mode) {
            Some(other) if !mode.mixes_with(other) => Err(Error::new(
                ErrorKind::Conflict,
                format!("asked for as {mode}, in use as {other}; use another name"),
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn state(self) -> Result<LockState> {
        let mut state = LockState::default();
        let mut ahead = Ahead::default();
        for standing in self.0 {
            let mode = standing.details.mode;
            let mut entry = Entry::new(mode);
            entry.owner = Some(standing.details.owner);
            entry.label = Some(standing.details.label);
            if ahead.allows(mode) {
                entry.token = Some(FencingToken::from_number(standing.number.unsigned_abs())?);
                state.holders.push(entry);
            } else {
                state.waiters.push(entry);
            }
            ahead.0.push((standing.key, standing.number, mode));
        }
        Ok(state)
    }
}

impl Position {
    /// That of an entry which holds the name as soon as it is made, by this revision.
    pub(crate) fn at_once(number: i64) -> Self {
        let ahead = Ahead::default();
        Self { number, ahead }
    }
}

impl Ahead {
    fn of(standing: &[Standing]) -> Self {
        let standing = standing.iter();
        Self(
            standing
                .map(|it| (it.key.clone(), it.number, it.details.mode))
                .collect(),
        )
    }

    /// Whether one of this mode behind them holds the name.
    pub(crate) fn allows(&self, mode: Mode) -> bool {
        match mode {
            Mode::Permit { limit } => self.0.len() < limit as usize,
            Mode::Shared => self.0.iter().all(|(_, _, mode)| *mode == Mode::Shared),
            _ => self.0.is_empty(),
        }
    }

    /// The entry of this key was removed by the revision of this number.
    pub(crate) fn remove(&mut self, key: &[u8], revision: i64) {
        self.0
            .retain(|(other, number, _)| other != key || *number > revision);
    }
}

impl Standing {
    fn of(entry: &KeyValue) -> Result<Self> {
        let details = serde_json::from_slice(entry.value()).map_err(|error| {
            let message = "a key of this lock holds something else, which was left as it is; use \
                           another namespace";
            Error::new(ErrorKind::Unexpected, message).with_source(error)
        })?;
        Ok(Self {
            key: entry.key().to_vec(),
            number: entry.create_revision(),
            details,
        })
    }
}

impl Details {
    pub(crate) fn of(request: &ClaimRequest) -> Self {
        Self {
            mode: request.mode,
            owner: request.owner.to_string(),
            label: request.label.to_string(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(modes: &[Mode]) -> Line {
        let standing = modes.iter().zip(1..).map(|(mode, number)| Standing {
            key: vec![number],
            number: number.into(),
            details: Details {
                mode: *mode,
                owner: String::new(),
                label: String::new(),
            },
        });
        Line(standing.collect())
    }

    fn holders(modes: &[Mode]) -> usize {
        line(modes).state().unwrap().holders.len()
    }

    #[test]
    fn each_holds_as_those_before_it_allow() {
        use Mode::{Exclusive, Shared};
        let permit = Mode::Permit { limit: 2 };
        assert_eq!(holders(&[Exclusive, Exclusive]), 1);
        assert_eq!(holders(&[Exclusive, Shared]), 1);
        assert_eq!(holders(&[Shared, Shared, Exclusive, Shared]), 2);
        assert_eq!(holders(&[permit, permit, permit]), 2);
    }

    #[test]
    fn what_was_removed_before_an_entry_was_made_is_another() {
        let mut ahead = line(&[Mode::Exclusive; 3]).position(&[3]).unwrap().ahead;
        ahead.remove(&[1], 5);
        ahead.remove(&[2], 1);
        assert!(!ahead.allows(Mode::Shared));
        ahead.remove(&[2], 6);
        assert!(ahead.allows(Mode::Exclusive));
    }

    #[test]
    fn locks_and_semaphores_do_not_mix() {
        let line = line(&[Mode::Shared]);
        line.expect_mixes_with(Mode::Exclusive).unwrap();
        let error = line.expect_mixes_with(Mode::Permit { limit: 1 });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("limit 1"), "{error}");
    }
}
