use std::fmt;

use distlock_core::Capabilities;

use crate::flawed::Flaw;
use crate::plain::Rules;
use crate::records::Swaps;
use crate::store::{Base, Store};

/// A store that is broken in one way, and the cases that must notice.
pub struct Mutant {
    /// Stays the same; numbers are not used again.
    pub number: u32,
    /// What it does wrong.
    pub does: &'static str,
    /// What it is made of.
    pub base: Base,
    open: Box<dyn Fn(Base) -> Store + Send + Sync>,
    /// The cases that fail on it.
    pub killers: Vec<Killer>,
    /// Quick cases that may well fail on it too, so that they say nothing.
    pub spoilt: &'static [&'static str],
}

/// A case that fails on a mutant, and what it says then.
#[derive(Debug)]
pub struct Killer {
    /// `promise::case`.
    pub case: &'static str,
    /// Words of its failure that show what it has noticed.
    pub says: &'static str,
}

impl Mutant {
    pub(crate) fn flawed(number: u32, does: &'static str, flaw: Flaw) -> Self {
        Self::new(number, does, Base::Memory, move |base| {
            Store::flawed(base, flaw)
        })
    }

    pub(crate) fn plain(number: u32, does: &'static str, rules: Rules) -> Self {
        Self::new(number, does, Base::Plain, move |_| Store::plain(rules))
    }

    pub(crate) fn records(number: u32, does: &'static str, rules: Swaps) -> Self {
        Self::new(number, does, Base::Records, move |_| Store::records(rules))
    }

    /// A store with nothing wrong about it but what its author says of it.
    pub(crate) fn declaring(
        number: u32,
        does: &'static str,
        declare: fn(&mut Capabilities),
    ) -> Self {
        Self::new(number, does, Base::Plain, move |_| {
            Store::declaring(declare)
        })
    }

    fn new(
        number: u32,
        does: &'static str,
        base: Base,
        open: impl Fn(Base) -> Store + Send + Sync + 'static,
    ) -> Self {
        Self {
            number,
            does,
            base,
            open: Box::new(open),
            killers: Vec::new(),
            spoilt: &[],
        }
    }

    pub(crate) fn killed_by(mut self, case: &'static str, says: &'static str) -> Self {
        self.killers.push(Killer { case, says });
        self
    }

    pub(crate) fn spoils(self, spoilt: &'static [&'static str]) -> Self {
        Self { spoilt, ..self }
    }

    /// The store, new and empty; where the flaw can be had over any store, over this one.
    pub fn store(&self, base: Base) -> Store {
        (self.open)(base)
    }
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutant")
            .field("number", &self.number)
            .field("does", &self.does)
            .finish_non_exhaustive()
    }
}
