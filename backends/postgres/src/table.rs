use std::collections::{BTreeMap, HashMap};

use crate::key::Key;

/// What stands under a connection: which claims share the lock of a key, and under which numbers.
///
/// The server counts how often a session has taken a lock; so that this never matters, each is
/// taken once, for all readers here.
#[derive(Debug, Default)]
pub(crate) struct Table {
    locks: HashMap<Key, Lock>,
    keys: HashMap<u128, Key>,
}

#[derive(Debug)]
struct Lock {
    shared: bool,
    /// By claim.
    numbers: BTreeMap<u128, u64>,
}

/// A lock that the server shows under a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) key: Key,
    pub(crate) shared: bool,
}

/// What a claim that asks for a lock finds here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has it, under this number.
    Holds(u64),
    /// It can share the lock of other claims.
    MayJoin,
    /// Another claim has it.
    Excluded,
    /// Nobody has it.
    Free,
}

impl Table {
    pub(crate) fn standing(&self, entry: u128, wanted: Shown) -> Standing {
        match self.locks.get(&wanted.key) {
            None => Standing::Free,
            Some(lock) => match lock.numbers.get(&entry) {
                Some(number) => Standing::Holds(*number),
                None if lock.shared && wanted.shared => Standing::MayJoin,
                None => Standing::Excluded,
            },
        }
    }

    pub(crate) fn add(&mut self, entry: u128, Shown { key, shared }: Shown, number: u64) {
        let lock = self.locks.entry(key).or_insert_with(|| Lock {
            shared,
            numbers: BTreeMap::new(),
        });
        lock.numbers.insert(entry, number);
        self.keys.insert(entry, key);
    }

    pub(crate) fn key(&self, entry: u128) -> Option<Key> {
        self.keys.get(&entry).copied()
    }

    /// The lock that is to be given back when this claim goes: the one that it has to itself.
    pub(crate) fn own(&self, entry: u128) -> Option<Shown> {
        let key = *self.keys.get(&entry)?;
        let lock = self.locks.get(&key)?;
        (lock.numbers.len() == 1).then_some(Shown {
            key,
            shared: lock.shared,
        })
    }

    /// Whether the claim was there.
    pub(crate) fn remove(&mut self, entry: u128) -> bool {
        let Some(key) = self.keys.remove(&entry) else {
            return false;
        };
        if let Some(lock) = self.locks.get_mut(&key) {
            lock.numbers.remove(&entry);
            if lock.numbers.is_empty() {
                self.locks.remove(&key);
            }
        }
        true
    }

    pub(crate) fn entries(&self) -> Vec<u128> {
        self.keys.keys().copied().collect()
    }

    /// How many locks there are.
    pub(crate) fn len(&self) -> usize {
        self.locks.len()
    }

    /// Forgets what the server does not show; the answer is what it shows and nobody here has.
    pub(crate) fn reconcile(&mut self, shown: &[Shown]) -> Vec<Shown> {
        let strays = shown
            .iter()
            .filter(|shown| {
                let lock = self.locks.get(&shown.key);
                lock.is_none_or(|lock| lock.shared != shown.shared)
            })
            .copied()
            .collect();
        self.locks.retain(|key, lock| {
            let shared = lock.shared;
            shown.contains(&Shown { key: *key, shared })
        });
        self.keys.retain(|_, key| self.locks.contains_key(key));
        strays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Shown = Shown {
        key: Key(1),
        shared: true,
    };
    const WRITE: Shown = Shown {
        key: Key(1),
        shared: false,
    };

    #[test]
    fn readers_share_one_lock_which_the_last_gives_back() {
        let mut table = Table::default();
        assert_eq!(table.standing(1, READ), Standing::Free);
        table.add(1, READ, 10);
        assert_eq!(table.standing(2, READ), Standing::MayJoin);
        assert_eq!(table.standing(2, WRITE), Standing::Excluded);
        table.add(2, READ, 11);
        assert_eq!(table.standing(2, READ), Standing::Holds(11));
        assert_eq!(table.own(1), None);
        assert!(table.remove(1) && !table.remove(1));
        assert_eq!(table.own(2), Some(READ));
        assert!(table.remove(2));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn the_server_is_believed() {
        let mut table = Table::default();
        table.add(1, WRITE, 10);
        let other = Shown {
            key: Key(2),
            shared: false,
        };
        assert_eq!(table.reconcile(&[WRITE, other]), [other]);
        assert_eq!(table.entries(), [1]);
        assert_eq!(table.reconcile(&[READ]), [READ]);
        assert!(table.entries().is_empty());
    }
}
