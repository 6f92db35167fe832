//! What can be seen of a lock from outside.

use std::time::Duration;

use crate::mode::Mode;
use crate::token::FencingToken;

/// Who holds a name and who waits for it, by the store's word at the moment it answered.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LockState {
    /// Those who hold it, in the order of their grants.
    pub holders: Vec<Entry>,
    /// Those who wait, the next first where the store is fair.
    pub waiters: Vec<Entry>,
}

/// One holder or waiter. What the store cannot know is `None`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// How it holds, or wants to hold, the name.
    pub mode: Mode,
    /// The [`Locks`](crate::Locks) it belongs to: a random id, the same for all its claims.
    pub owner: Option<String>,
    /// What its user called it; `host:pid` by default.
    pub label: Option<String>,
    /// The token of its hold. A waiter has none yet.
    pub token: Option<FencingToken>,
    /// How long ago it took its place, by the store's clock.
    pub age: Option<Duration>,
    /// When the store gives it up unless it is renewed, by the store's clock.
    pub expires_in: Option<Duration>,
}

impl LockState {
    /// A state of these holders and waiters.
    pub fn new(holders: Vec<Entry>, waiters: Vec<Entry>) -> Self {
        Self { holders, waiters }
    }

    /// Whether nobody holds the name and nobody waits for it.
    pub fn is_free(&self) -> bool {
        self.holders.is_empty() && self.waiters.is_empty()
    }

    /// Whether the same contenders hold and wait in both; ages and remaining times do not count.
    pub(crate) fn same_contenders(&self, other: &Self) -> bool {
        fn same(a: &[Entry], b: &[Entry]) -> bool {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.identity() == b.identity())
        }
        same(&self.holders, &other.holders) && same(&self.waiters, &other.waiters)
    }
}

impl Entry {
    /// An entry of which nothing but its mode is known.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            owner: None,
            label: None,
            token: None,
            age: None,
            expires_in: None,
        }
    }

    fn identity(&self) -> (Mode, Option<&str>, Option<&str>, Option<FencingToken>) {
        (
            self.mode,
            self.owner.as_deref(),
            self.label.as_deref(),
            self.token,
        )
    }
}
