use std::collections::BTreeMap;

use distlock_core::Guard;

/// The guards that users have, where all can be looked at whenever something happens.
#[derive(Debug, Default)]
pub(crate) struct Guards(BTreeMap<usize, Kept>);

/// A guard, and whose it is.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) client: usize,
    pub(crate) name: usize,
    pub(crate) guard: Guard,
    /// Whether it has been found to count itself valid without its store.
    pub(crate) is_unbacked: bool,
}

impl Guards {
    pub(crate) fn add(&mut self, op: usize, kept: Kept) {
        self.0.insert(op, kept);
    }

    pub(crate) fn get(&self, op: usize) -> Option<&Guard> {
        self.0.get(&op).map(|kept| &kept.guard)
    }

    pub(crate) fn take(&mut self, op: usize) -> Option<Guard> {
        self.0.remove(&op).map(|kept| kept.guard)
    }

    /// Those of a client, which has them no more.
    pub(crate) fn take_of(&mut self, client: usize) -> Vec<(usize, Guard)> {
        let ops: Vec<_> = self
            .0
            .iter()
            .filter(|(_, kept)| kept.client == client)
            .map(|(op, _)| *op)
            .collect();
        ops.into_iter()
            .filter_map(|op| self.take(op).map(|guard| (op, guard)))
            .collect()
    }

    /// The guards of this name that count themselves valid at this moment.
    pub(crate) fn valid(&mut self, name: usize) -> impl Iterator<Item = (usize, &mut Kept)> {
        self.0
            .iter_mut()
            .filter(move |(_, kept)| kept.name == name && kept.guard.is_held())
            .map(|(op, kept)| (*op, kept))
    }
}
