use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use distlock_core::Guard;

/// The guards that users have, where all can be looked at whenever something happens.
#[derive(Debug, Default)]
pub(crate) struct Guards(BTreeMap<usize, Kept>);

/// A guard, and whose it is.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) client: usize,
    pub(crate) name: usize,
    pub(crate) guard: Arc<Guard>,
    /// Whether it has been found to count itself valid for longer than its store does.
    pub(crate) is_unbacked: bool,
}

impl Guards {
    pub(crate) fn add(&mut self, op: usize, kept: Kept) {
        self.0.insert(op, kept);
    }

    pub(crate) fn take(&mut self, op: usize) -> Option<Arc<Guard>> {
        self.0.remove(&op).map(|kept| kept.guard)
    }

    /// Those of a client, which has them no more.
    pub(crate) fn take_of(&mut self, client: usize) -> Vec<(usize, Arc<Guard>)> {
        let of_client = self.0.extract_if(.., |_, kept| kept.client == client);
        of_client.map(|(op, kept)| (op, kept.guard)).collect()
    }

    /// The guards of this name that count themselves valid at this moment.
    pub(crate) fn valid(&self, name: usize) -> Vec<usize> {
        self.0
            .iter()
            .filter(|(_, kept)| kept.name == name && kept.guard.is_held())
            .map(|(op, _)| *op)
            .collect()
    }

    /// The guards that count themselves valid for longer than `backing` says of their name and
    /// number, each told once, and for how much longer.
    pub(crate) fn unbacked(
        &mut self,
        backing: impl Fn(usize, u64) -> Duration,
    ) -> Vec<(usize, Duration)> {
        let mut found = Vec::new();
        for (op, kept) in &mut self.0 {
            let left = kept.guard.valid_for();
            if kept.is_unbacked || left.is_zero() {
                continue;
            }
            let beyond = left.saturating_sub(backing(kept.name, kept.guard.token().number()));
            if !beyond.is_zero() {
                kept.is_unbacked = true;
                found.push((*op, beyond));
            }
        }
        found
    }
}
