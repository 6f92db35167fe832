use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::keys::{Folder, Keys};
use crate::link::lock;

/// The keys that stand, or stood, under a lease, and whose they are.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Those of claims of this client.
    taken: HashMap<u128, String>,
    /// Those that are free again, by their folders.
    ///
    /// A server goes through all keys of a folder that ever were, until it is told to compact. If
    /// every claim had a key of its own, each would take longer than the one before.
    spare: HashMap<Folder, Vec<u128>>,
    /// Those that stand there, and nobody here is answerable for.
    strangers: HashMap<u128, Vec<u8>>,
}

/// A key that a claim has to itself.
pub(crate) struct Place {
    places: Places,
    folder: Folder,
    entry: u128,
    /// Whether another may have it next.
    is_free: bool,
}

impl Places {
    /// As many folders are remembered of which nobody has a key.
    const SPARE: usize = 1024;

    /// A place for a claim: a spare one, or else that of this entry.
    pub(crate) fn take(&self, keys: &Keys, entry: u128) -> (Place, String) {
        let mut state = lock(&self.0);
        let spare = state.spare.get_mut(&keys.kind).and_then(Vec::pop);
        let entry = spare.unwrap_or(entry);
        let key = keys.entry(entry);
        state.taken.insert(entry, key.clone());
        let place = Place {
            places: self.clone(),
            folder: keys.kind.clone(),
            entry,
            is_free: false,
        };
        (place, key)
    }

    /// The keys of claims that do not stand among these, and one more: at least one.
    pub(crate) fn doubtful(&self, shown: &HashMap<u128, Vec<u8>>) -> Vec<String> {
        /// More than these are not asked for at a time; the others are taken to be there.
        const MOST: usize = 100;
        let state = lock(&self.0);
        let taken = state.taken.iter();
        let absent = taken.filter(|(entry, _)| !shown.contains_key(*entry));
        let one = state.taken.iter().take(1);
        let doubtful = absent.take(MOST).chain(one);
        doubtful.map(|(_, key)| key.clone()).collect()
    }

    /// What the server shows may be removed if it is nobody's. So nobody is to have it any more.
    pub(crate) fn set_strangers(&self, shown: &HashMap<u128, Vec<u8>>) {
        let mut state = lock(&self.0);
        let strangers = shown
            .iter()
            .filter(|(entry, _)| !state.taken.contains_key(*entry))
            .map(|(entry, key)| (*entry, key.clone()))
            .collect::<HashMap<_, _>>();
        for spare in state.spare.values_mut() {
            spare.retain(|entry| !strangers.contains_key(entry));
        }
        state.strangers = strangers;
    }

    pub(crate) fn strangers_among(&self, entries: &[u128]) -> Vec<Vec<u8>> {
        let state = lock(&self.0);
        let keys = entries
            .iter()
            .filter_map(|entry| state.strangers.get(entry));
        keys.cloned().collect()
    }
}

impl Place {
    pub(crate) fn entry(&self) -> u128 {
        self.entry
    }

    /// Nothing that was ever asked about its key is unanswered, and it is not there any more.
    pub(crate) fn is_free(&mut self) {
        self.is_free = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.places.0);
        state.taken.remove(&self.entry);
        if self.is_free {
            if state.spare.len() >= Places::SPARE {
                state.spare.clear();
            }
            let spare = state.spare.entry(self.folder.clone()).or_default();
            spare.push(self.entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use distlock_core::{Mode, Name};

    use super::*;

    fn keys() -> Keys {
        Keys::of(&Name::new("a").unwrap(), Mode::Exclusive)
    }

    #[test]
    fn a_place_that_is_free_is_taken_again() {
        let places = Places::default();
        let (mut place, key) = places.take(&keys(), 1);
        let (beside, _) = places.take(&keys(), 2);
        place.is_free();
        drop(place);
        drop(beside);
        assert_eq!(places.take(&keys(), 3).1, key);
        // Neither what is taken, nor what may still be written.
        assert_eq!(places.take(&keys(), 4).0.entry(), 4);
    }

    #[test]
    fn what_is_to_be_removed_is_nobodys() {
        let places = Places::default();
        let (mut place, key) = places.take(&keys(), 1);
        place.is_free();
        drop(place);
        let shown = HashMap::from([(1, key.clone().into_bytes())]);
        places.set_strangers(&shown);
        assert_eq!(places.strangers_among(&[1]), [key.into_bytes()]);
        assert_eq!(places.take(&keys(), 2).0.entry(), 2);
    }

    #[test]
    fn what_is_taken_is_no_stranger() {
        let places = Places::default();
        let (_place, key) = places.take(&keys(), 1);
        places.set_strangers(&HashMap::from([(1, key.into_bytes())]));
        assert!(places.strangers_among(&[1]).is_empty());
    }
}
