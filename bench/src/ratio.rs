//! Figures beside each other, by names that readers know, and what has to be kept.

use serde::Serialize;

use crate::plan::CONTENDED;
use crate::report::Line;

/// What the bare commands of a client are called in tables.
pub(crate) const BARE: &str = "bare commands";
/// What this library is called.
pub(crate) const DISTLOCK: &str = "distlock";

/// A workload, and whose.
pub(crate) type Which = (&'static str, &'static str);

/// Two figures beside each other.
pub(crate) struct Ratio {
    pub(crate) name: &'static str,
    of: Of,
}

enum Of {
    Rates(Which, Which),
    Share(Which),
}

impl Ratio {
    /// How evenly a name goes around.
    pub(crate) const SHARE: Self = Self {
        name: "least share / greatest",
        of: Of::Share((CONTENDED, DISTLOCK)),
    };

    /// The better the greater.
    pub(crate) const fn rates(name: &'static str, a: Which, b: Which) -> Self {
        let of = Of::Rates(a, b);
        Self { name, of }
    }

    /// The better the smaller.
    pub(crate) const fn times(name: &'static str, a: Which, b: Which) -> Self {
        Self::rates(name, b, a)
    }
}

/// What they are taken from.
pub(crate) struct Ratios<'a>(pub(crate) &'a [Line]);

impl Ratios<'_> {
    /// Unless one of its figures was left out.
    pub(crate) fn value(&self, ratio: &Ratio) -> Option<f64> {
        match ratio.of {
            Of::Rates(a, b) => Some(self.rate(a)? / self.rate(b)?),
            Of::Share(which) => Some(self.line(which)?.figures?.share),
        }
    }

    /// How often a second.
    pub(crate) fn rate(&self, which: Which) -> Option<f64> {
        Some(self.line(which)?.figures?.per_second.median)
    }

    fn line(&self, (workload, who): Which) -> Option<&Line> {
        let is_it = |line: &&Line| line.workload == workload && line.who == who;
        self.0.iter().find(is_it)
    }
}

/// What has to be kept.
#[derive(Debug, Serialize)]
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) value: Option<f64>,
    pub(crate) relation: &'static str,
    pub(crate) bound: f64,
    pub(crate) kept: bool,
}

impl Bound {
    pub(crate) fn at_most(name: &'static str, value: Option<f64>, bound: f64) -> Self {
        let kept = value.is_some_and(|value| value <= bound);
        Self {
            name,
            value,
            relation: "at most",
            bound,
            kept,
        }
    }

    pub(crate) fn at_least(name: &'static str, value: Option<f64>, bound: f64) -> Self {
        let kept = value.is_some_and(|value| value >= bound);
        Self {
            name,
            value,
            relation: "at least",
            bound,
            kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_keeps_no_bound() {
        assert!(Bound::at_most("x", Some(1.0), 2.0).kept);
        assert!(!Bound::at_most("x", Some(3.0), 2.0).kept);
        assert!(Bound::at_least("x", Some(3.0), 2.0).kept);
        assert!(!Bound::at_least("x", Some(1.0), 2.0).kept);
        assert!(!Bound::at_most("x", None, 2.0).kept);
        assert!(!Bound::at_least("x", None, 2.0).kept);
    }
}
